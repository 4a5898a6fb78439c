"""What allauth asks of us: who may sign up, where links in mails lead, and how secrets of second factors are kept."""

import base64
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urljoin

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest

from easel.crypto import new_data_key, open_data_key, open_sealed, seal
from easel.requests import client_address
from tenants import letters, membership
from tenants.models import Invitation, User

INVITED: Final = "invitation"  # in the session: the link that a person came by
_US: Final = SimpleNamespace(name="Easel", domain="Easel")
_CONTEXT: Final = b"mfa.authenticator"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.SIGN_UP_OPEN) or invitation_of(request) is not None

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return public(super().get_email_confirmation_url(request, emailconfirmation))

    def get_reset_password_from_key_url(self, key: str) -> str:
        return public(super().get_reset_password_from_key_url(key))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Mails greet from Easel, not from whatever host the request named. They go out beside the answer: how long it
        takes, and whether it fails, would tell who has an account."""
        said = {"request": self.request, "email": email, "current_site": _US, **context}
        letters.post(self.render_mail(template_prefix, email, said))

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Whoever came by an invitation goes on with it."""
        return str(request.session.get(INVITED) or super().get_login_redirect_url(request))


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets of second factors are sealed, each under a key of its own and that by the platform key: whoever reads the
    database cannot make codes."""

    def encrypt(self, text: str) -> str:
        key, sealed_key, version = new_data_key()
        sealed = seal(text.encode(), key=key, context=_CONTEXT)
        return f"{version}:{base64.b64encode(sealed_key).decode()}:{base64.b64encode(sealed).decode()}"

    def decrypt(self, encrypted_text: str) -> str:
        version, sealed_key, sealed = encrypted_text.split(":")
        key = open_data_key(base64.b64decode(sealed_key), int(version))
        return open_sealed(base64.b64decode(sealed), key=key, context=_CONTEXT).decode()


def public(url: str) -> str:
    """A link for a mail, at our public address where there is one: the Host of a request may be anybody's word."""
    if not settings.BASE_URL:
        return url
    path = "/" + url.split("/", 3)[3] if "://" in url else url
    return urljoin(f"{settings.BASE_URL}/", path)


def invitation_of(request: HttpRequest) -> Invitation | None:
    """The one that this visitor came by, while it may still be accepted."""
    link = str(request.session.get(INVITED, ""))
    return membership.open_invitation(link.rpartition("/")[2]) if link else None


def confirm_address(user: User) -> None:
    """The person's address counts as confirmed: whoever made the account vouches for it."""
    EmailAddress.objects.update_or_create(
        user=user, email=user.email.lower(), defaults={"verified": True, "primary": True}
    )


def confirmed_addresses(user: User) -> set[str]:
    """In lower case."""
    found = EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True)
    return {email.lower() for email in found}


def has_second_factor(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES).exists())
