from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tenants import console
from tenants.oauth import TokenView

urlpatterns = [
    *console.urlpatterns,
    path("oauth/token", csrf_exempt(TokenView.as_view()), name="oauth-token"),
]
