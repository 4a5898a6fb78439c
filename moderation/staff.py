"""The door of the moderation dashboard: staff with the role. The second factor is `tenants.staff_door`'s, for all
of the staff's side."""

from collections.abc import Callable
from functools import wraps
from typing import Final

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from tenants.models import User

ROLE: Final = "moderator"  # a group; superusers have every role
Page = Callable[..., HttpResponse]


def moderator_page(view: Page) -> Page:
    @wraps(view)
    @login_required(login_url="staff-sign-in")
    def page(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        moderator_of(request)
        return view(request, *args, **kwargs)

    return page


def moderator_of(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        raise PermissionDenied
    if not is_moderator(user):
        raise PermissionDenied("This needs the role moderator.")
    return user


def is_moderator(user: User) -> bool:
    return user.is_superuser or user.groups.filter(name=ROLE).exists()


def has_colleagues(email: str) -> bool:
    """Whether there is another moderator. Needs the platform role."""
    moderators = User.objects.filter(Q(is_superuser=True) | Q(groups__name=ROLE), is_active=True, is_staff=True)
    return moderators.exclude(email=email).exists()
