"""The staff's door: a password, and then a code of an authenticator app, before any page of the staff's side.

The rule is a middleware, so that a page which forgets to ask is closed all the same. A session remembers by which
authenticator it was let in: where that is removed (a lost phone), its sessions end.
"""

import base64
from collections.abc import Callable
from typing import Any, Final

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, validate_totp_code
from allauth.mfa.utils import decrypt, encrypt
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.views import redirect_to_login
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from easel.problems import Problem, response
from easel.ratelimit import guard
from easel.requests import client_address
from tenants import audit
from tenants.models import AuditRecord, User

STAFF_URLS: Final = "easel.staff_urls"
# Pages that somebody without a factor may see: how else would they come by one? And in their own language.
OPEN: Final = frozenset(
    {"staff-sign-in", "admin:logout", "staff-second-factor", "readyz", "staff-home", "set_language"}
)
PASSED: Final = "second_factor"  # in the session: which authenticator its person was let in by
PENDING: Final = "second_factor_secret"  # in the session: of an authenticator being set up, sealed
TRIES: Final = {"person": 10}  # codes a minute

Answer = Callable[[HttpRequest], HttpResponseBase]


class StaffDoor:
    """Middleware of all processes; it has an opinion on the staff's only. What staff do is on record as theirs."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = request.user if settings.ROOT_URLCONF == STAFF_URLS else None
        if not isinstance(user, User):
            return self.get_response(request)
        with audit.acting(_actor(request, user)):
            return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, options: Any) -> HttpResponseBase | None:
        match = request.resolver_match
        if settings.ROOT_URLCONF != STAFF_URLS or (match and match.view_name in OPEN):
            return None
        user = request.user
        if not isinstance(user, User) or not user.is_active or not user.is_staff:
            return redirect_to_login(request.get_full_path(), login_url="/admin/login/")
        if not settings.STAFF_SECOND_FACTOR or has_passed(request, user):
            return None
        if request.method in {"GET", "HEAD"}:
            return redirect_to_login(request.get_full_path(), login_url="/second-factor")
        return response(Problem("role_not_allowed", "Sign in with your second factor first."))


def has_passed(request: HttpRequest, user: User) -> bool:
    passed = request.session.get(PASSED)
    return passed is not None and any(passed == str(known.pk) for known in _apps(user))


@never_cache
@require_http_methods(["GET", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Asks for a code. Whoever has no authenticator yet sets one up: the password they signed in with lets them."""
    user = request.user
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        return redirect("staff-sign-in")
    known = _apps(user).first()
    secret = "" if known else _pending(request)
    wrong = False
    if request.method == "POST":
        guard("staff-second-factor", {"person": str(user.pk)}, limits=TRIES)
        passed = _check(request, user, known, secret)
        if passed is not None:
            return _let_in(request, passed)
        wrong = True
    context = {**admin.site.each_context(request), "has_permission": False, "is_nav_sidebar_enabled": False}
    context |= {"secret": secret, "wrong": wrong, "picture": _picture(user, secret) if secret else ""}
    return render(request, "staff/second_factor.html", context, status=403 if wrong else 200)


def forget_factors(user: User) -> int:
    """For a person who lost theirs: all are removed, and the sessions that they opened with them."""
    count: int = Authenticator.objects.filter(user=user).delete()[0]
    audit.record("person.second_factors_removed", tenant_id=None, object_kind="person", object_id=user.pk)
    return count


def _check(request: HttpRequest, user: User, known: Authenticator | None, secret: str) -> Authenticator | None:
    code = request.POST.get("code", "").replace(" ", "")
    if known is not None:
        return known if TOTP(known).validate_code(code) else None
    if not validate_totp_code(secret, code):
        return None
    made = TOTP.activate(user, secret)
    made.validate_code(code)  # used up: it does not open a second session
    del request.session[PENDING]
    audit.record("staff.second_factor_set_up", tenant_id=None, object_kind="person", object_id=user.pk)
    instance: Authenticator = made.instance
    return instance


def _let_in(request: HttpRequest, passed: Authenticator) -> HttpResponse:
    request.session.cycle_key()  # a session that somebody planted earlier is not the one that is let in
    request.session[PASSED] = str(passed.pk)
    audit.record("staff.second_factor_passed", tenant_id=None, object_kind="person", object_id=passed.user_id)
    onward = request.GET.get("next", "")
    ours = url_has_allowed_host_and_scheme(onward, {request.get_host()}, require_https=request.is_secure())
    return redirect(onward if ours else "admin:index")


def _pending(request: HttpRequest) -> str:
    """The same until it is used, so that a code typed wrong does not ask for another scan."""
    if PENDING not in request.session:
        request.session[PENDING] = encrypt(generate_totp_secret())
    return str(decrypt(request.session[PENDING]))


def _picture(user: User, secret: str) -> str:
    adapter = get_adapter()
    svg = adapter.build_totp_svg(adapter.build_totp_url(user, secret))
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _apps(user: User) -> Any:
    return Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP)


def _actor(request: HttpRequest, user: User) -> audit.Actor:
    return audit.Actor(kind=AuditRecord.Actor.STAFF, name=user.email, address=client_address(request))


@receiver(user_logged_in)
def note_a_staff_sign_in(sender: object, request: HttpRequest | None, user: User, **_: object) -> None:
    if request is not None and settings.ROOT_URLCONF == STAFF_URLS:
        audit.record(
            "staff.signed_in", tenant_id=None, object_kind="person", object_id=user.pk, actor=_actor(request, user)
        )


urlpatterns = [path("second-factor", second_factor, name="staff-second-factor")]
