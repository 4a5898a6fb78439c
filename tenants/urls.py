from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tenants import api, console, oauth

urlpatterns = [
    *console.urlpatterns,
    *api.urlpatterns,
    path("oauth/token", csrf_exempt(oauth.TokenView.as_view()), name="oauth-token"),
    path("oauth/revoke", csrf_exempt(oauth.RevokeView.as_view()), name="oauth-revoke"),
    path(".well-known/oauth-authorization-server", oauth.metadata, name="oauth-metadata"),
]
