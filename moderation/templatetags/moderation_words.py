"""What the moderation pages need to say things with."""

from collections.abc import Mapping
from datetime import timedelta

from django import template
from django.utils.timesince import timesince
from django.utils.timezone import now

register = template.Library()


@register.filter
def word(words: Mapping[str, str], name: str) -> str:
    """The word for a name, or else the name itself."""
    return words.get(name, name)


@register.filter
def span(seconds: float | None) -> str:
    """A length of time, in words."""
    return timesince(now() - timedelta(seconds=float(seconds or 0)))
