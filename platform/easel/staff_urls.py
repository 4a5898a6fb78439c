"""The staff's side, on a port of an internal network: Django's admin and the moderation pages, and nothing of the
customers' API. Apps are named by string, so that the platform imports none.

`tenants.staff_door` lets nobody past its sign-in without a second factor.
"""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from easel import health
from easel.ratelimit import guarded_sign_in, named_by

handler400 = "easel.problems.bad_request"
handler403 = "easel.problems.forbidden"
handler404 = "easel.problems.not_found"
handler500 = "easel.problems.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("readyz", health.ready, name="readyz"),
    path("", RedirectView.as_view(pattern_name="admin:index"), name="staff-home"),
    path("", include("tenants.staff_door")),
    path("language", set_language, name="set_language"),
    path("admin/login/", guarded_sign_in(admin.site.login, account=named_by("username")), name="staff-sign-in"),
    path("admin/", admin.site.urls),
    path("", include("generation.staff_pages")),
    path("", include("moderation.dashboard")),
]
