from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tenants import (
    account_urls,
    api,
    audit_pages,
    key_pages,
    member_pages,
    oauth,
    webhook_api,
    webhook_pages,
    workspace_pages,
)

urlpatterns = [
    *account_urls.urlpatterns,
    *workspace_pages.urlpatterns,
    *member_pages.urlpatterns,
    *key_pages.urlpatterns,
    *api.urlpatterns,
    *audit_pages.urlpatterns,
    *webhook_api.urlpatterns,
    *webhook_pages.urlpatterns,
    path("oauth/token", csrf_exempt(oauth.TokenView.as_view()), name="oauth-token"),
    path("oauth/revoke", csrf_exempt(oauth.RevokeView.as_view()), name="oauth-revoke"),
    path(".well-known/oauth-authorization-server", oauth.metadata, name="oauth-metadata"),
]
