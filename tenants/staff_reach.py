"""Whose sign-in a member of staff may touch. Whoever could set a superuser's password, address or role would be one."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from tenants.models import User

Anybody = AbstractBaseUser | AnonymousUser


def has_every_power(actor: Anybody) -> bool:
    return isinstance(actor, User) and actor.is_active and actor.is_superuser


def within_reach(person: User, *, actor: Anybody) -> bool:
    """Only who has every power changes how a colleague, or themselves as one, signs in."""
    return has_every_power(actor) or not (person.is_superuser or person.is_staff)
