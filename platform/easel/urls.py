"""The customers' side: API, console, media. Apps are named by string, so that the platform imports none."""

from django.urls import URLPattern, URLResolver, include, path

from easel import health, openapi, reference

handler400 = "easel.problems.bad_request"
handler403 = "easel.problems.forbidden"
handler404 = "easel.problems.not_found"
handler500 = "easel.problems.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("readyz", health.ready),
    path("openapi.json", openapi.openapi_json, name="openapi"),
    path("docs", reference.page, name="docs"),
    path("docs/errors/<str:code>", reference.error_page, name="docs-error"),
    path("", include("tenants.urls")),
    path("", include("billing.urls")),
    path("", include("generation.urls")),
]
