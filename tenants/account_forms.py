"""The form of signing up: allauth's, with a workspace beside it and what a closed door demands."""

from typing import Any

import psycopg
from allauth.account.forms import SignupForm
from allauth.core import context
from django import forms
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from easel.database import atomic
from tenants import accounts, founding
from tenants.models import User


class SignUpForm(SignupForm):  # type: ignore[misc]  # allauth has no types
    account_already_exists: bool  # found by validation, or here
    organization = forms.CharField(
        label=_("Name of your workspace"),
        max_length=150,
        required=False,
        help_text=_("Leave it empty if you were invited to one."),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not founding.is_open():
            del self.fields["organization"]

    def clean_email(self) -> str:
        """While sign-up is closed an invitation lets in whom it is for, and nobody else."""
        email = str(super().clean_email())
        if not settings.SIGN_UP_OPEN:
            invitation = accounts.invitation_of(context.request)
            if invitation is None or invitation.email.lower() != email.lower():
                raise forms.ValidationError(gettext("Sign up with the address that your invitation was sent to."))
        return email

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """An address may be taken although nobody was found by it: by staff, whom this process does not see, or by
        whoever signs up at the same moment. All are answered like one that is known, and after as long a time."""
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])
        else:
            try:
                with atomic():
                    return self.save(request), None
            except IntegrityError as error:
                if not isinstance(error.__cause__, psycopg.errors.UniqueViolation):
                    raise
                self.account_already_exists = True
        answered: tuple[User | None, HttpResponse | None] = super().try_save(request)
        return answered

    def custom_signup(self, request: HttpRequest, user: User) -> None:
        """Before the address is confirmed; in the transaction that makes the person."""
        name = self.cleaned_data.get("organization", "").strip()
        if name:
            founding.ask(user, name)
