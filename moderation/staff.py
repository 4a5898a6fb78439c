"""The door of the moderation dashboard: staff with the role, and a second factor in this session."""

from collections.abc import Callable
from functools import wraps
from typing import Final

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, validate_totp_code
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from easel.ratelimit import guard
from tenants import audit
from tenants.models import User

ROLE: Final = "moderator"  # a group; superusers have every role
VERIFIED: Final = "moderation_second_factor"
PENDING: Final = "moderation_totp_secret"
TRIES: Final = {"person": 10}  # codes a minute
Page = Callable[..., HttpResponse]


def moderator_page(view: Page) -> Page:
    @wraps(view)
    @login_required(login_url="admin:login")
    def page(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        user = moderator_of(request)
        if settings.STAFF_SECOND_FACTOR and request.session.get(VERIFIED) != str(user.id):
            return redirect("moderation-second-factor")
        with audit.acting(audit.Actor(kind="staff", name=user.email)):
            return view(request, *args, **kwargs)

    return page


def moderator_of(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        raise PermissionDenied
    if not user.is_superuser and not user.groups.filter(name=ROLE).exists():
        raise PermissionDenied("This needs the role moderator.")
    return user


@login_required(login_url="admin:login")
@require_http_methods(["GET", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Ask for a code, or set the first authenticator up."""
    user = moderator_of(request)
    known = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    secret = "" if known else request.session.setdefault(PENDING, generate_totp_secret())
    wrong = False
    if request.method == "POST":
        guard("second-factor", {"person": str(user.id)}, limits=TRIES)
        code = request.POST.get("code", "").replace(" ", "")
        if known:
            wrong = not TOTP(known).validate_code(code)
        else:
            wrong = not validate_totp_code(secret, code)
            if not wrong:
                TOTP.activate(user, secret)
                request.session.pop(PENDING)
                audit.record("staff.second_factor", tenant_id=None, object_kind="person", object_id=user.id)
        if not wrong:
            request.session.cycle_key()
            request.session[VERIFIED] = str(user.id)
            return redirect("moderation-queue")
    return render(request, "moderation/second_factor.html", {"secret": secret, "wrong": wrong})
