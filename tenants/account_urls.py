"""A person's own pages, by allauth. Each is listed, so that nothing of allauth is served that nobody looked at; those
that take a password or a code are counted by address and by account, and closed while nobody can count.

Whose account it is, each page says by what it goes by itself: the field it reads, the sign-in that waits for a code, or
the person who is signed in. The latter two share one count, whatever sessions it comes from.
"""

from collections.abc import Callable
from typing import Any, Final

from allauth.account import views as account
from allauth.account.internal.stagekit import LOGIN_SESSION_KEY
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.usersessions import views as sessions
from django.http import HttpRequest
from django.urls import URLPattern, path, re_path

from easel.ratelimit import guarded_sign_in, named_by
from tenants.models import User

PREFIX: Final = "console/account/"


def person_signed_in(request: HttpRequest) -> str:
    """The id of whoever asks, in hexadecimal."""
    return request.user.pk.hex if isinstance(request.user, User) else ""


def person_signing_in(request: HttpRequest) -> str:
    """The same of whoever has given a password and is asked for a second factor: as allauth keeps it in the session."""
    begun = request.session.get(LOGIN_SESSION_KEY)
    return str(begun.get("user_pk") or "") if isinstance(begun, dict) else ""


GUARDED: Final[list[tuple[str, Any, str, Callable[[HttpRequest], str]]]] = [
    ("console/sign-in", account.login, "account_login", named_by("login")),
    ("console/sign-up", account.signup, "account_signup", named_by("email")),
    (f"{PREFIX}reauthenticate", account.reauthenticate, "account_reauthenticate", person_signed_in),
    (f"{PREFIX}password/reset", account.password_reset, "account_reset_password", named_by("email")),
    (f"{PREFIX}password/change", account.password_change, "account_change_password", person_signed_in),
    (f"{PREFIX}password/set", account.password_set, "account_set_password", person_signed_in),
    (f"{PREFIX}second-factor/authenticate", mfa.authenticate, "mfa_authenticate", person_signing_in),
    (f"{PREFIX}second-factor/reauthenticate", mfa.reauthenticate, "mfa_reauthenticate", person_signed_in),
    (
        f"{PREFIX}passkeys/reauthenticate",
        webauthn.reauthenticate_webauthn,
        "mfa_reauthenticate_webauthn",
        person_signed_in,
    ),
]
PLAIN: Final[list[tuple[str, Any, str]]] = [
    ("console/sign-out", account.logout, "account_logout"),
    (f"{PREFIX}inactive", account.account_inactive, "account_inactive"),
    (f"{PREFIX}email", account.email, "account_email"),
    (f"{PREFIX}confirm", account.email_verification_sent, "account_email_verification_sent"),
    (f"{PREFIX}password/reset/sent", account.password_reset_done, "account_reset_password_done"),
    (f"{PREFIX}password/reset/done", account.password_reset_from_key_done, "account_reset_password_from_key_done"),
    (f"{PREFIX}second-factor", mfa.index, "mfa_index"),
    (f"{PREFIX}second-factor/app", totp.activate_totp, "mfa_activate_totp"),
    (f"{PREFIX}second-factor/app/remove", totp.deactivate_totp, "mfa_deactivate_totp"),
    (f"{PREFIX}recovery-codes", recovery.view_recovery_codes, "mfa_view_recovery_codes"),
    (f"{PREFIX}recovery-codes/generate", recovery.generate_recovery_codes, "mfa_generate_recovery_codes"),
    (f"{PREFIX}recovery-codes/download", recovery.download_recovery_codes, "mfa_download_recovery_codes"),
    (f"{PREFIX}passkeys", webauthn.list_webauthn, "mfa_list_webauthn"),
    (f"{PREFIX}passkeys/add", webauthn.add_webauthn, "mfa_add_webauthn"),
    (f"{PREFIX}passkeys/<int:pk>/edit", webauthn.edit_webauthn, "mfa_edit_webauthn"),
    (f"{PREFIX}passkeys/<int:pk>/remove", webauthn.remove_webauthn, "mfa_remove_webauthn"),
    (f"{PREFIX}sessions", sessions.list_usersessions, "usersessions_list"),
]

urlpatterns: list[URLPattern] = [
    *(path(route, guarded_sign_in(view, account=whose), name=name) for route, view, name, whose in GUARDED),
    *(path(route, view, name=name) for route, view, name in PLAIN),
    path(
        f"{PREFIX}passkeys/sign-in",
        # Asking for a challenge makes a session for whoever asks.
        guarded_sign_in(webauthn.login_webauthn, methods=frozenset({"GET", "POST"})),
        name="mfa_login_webauthn",
    ),
    re_path(rf"^{PREFIX}confirm/(?P<key>[-:\w]+)$", account.confirm_email, name="account_confirm_email"),
    re_path(
        rf"^{PREFIX}password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)$",
        guarded_sign_in(account.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
]
