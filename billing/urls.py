from django.urls import path

from billing import allowances_api, api, pages

urlpatterns = [
    *allowances_api.urlpatterns,
    *pages.urlpatterns,
    path("v1/usage", api.Usage.as_view(), name="usage"),
    path("v1/account", api.Account.as_view(), name="account"),
]
