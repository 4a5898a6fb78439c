"""What the API says, on a page."""

from django import template
from django.utils.html import format_html

from generation.said import translated

register = template.Library()


@register.simple_tag
def said(text: str) -> str:
    """In the reader's language; or as it is, and marked as English."""
    words = translated(text)
    return format_html('<span lang="en">{}</span>', text) if words is None else format_html("{}", words)
