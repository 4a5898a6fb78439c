"""Expired sessions open nothing, and anybody can have one made: the clock removes them, so that they do not pile up."""

from easel.clock import duty
from easel.database import changed


@duty("forget_sessions", every=600.0)
def forget_sessions() -> int:
    return changed("DELETE FROM django_session WHERE expire_date < now()")
