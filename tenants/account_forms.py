"""What we ask at sign-up beside what allauth asks."""

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tenants import founding
from tenants.models import User


class SignUpForm(forms.Form):
    organization = forms.CharField(
        label=_("Name of your workspace"),
        max_length=150,
        required=False,
        help_text=_("Leave it empty if you were invited to one."),
    )

    def signup(self, request: HttpRequest, user: User) -> None:
        """Called by allauth inside its own transaction, before the address is confirmed."""
        name = self.cleaned_data["organization"].strip()
        if name:
            founding.ask(user, name)
