from django.urls import path

from billing import allowances_api, api

urlpatterns = [
    *allowances_api.urlpatterns,
    path("v1/usage", api.Usage.as_view(), name="usage"),
    path("v1/account", api.Account.as_view(), name="account"),
]
