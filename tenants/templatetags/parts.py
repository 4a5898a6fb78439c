"""`{% part "name" … %}` and `{% box "name" … %}…{% endbox %}`: the console's components, one template each in
`templates/console/parts/`. A part sees what it is given and nothing else of the page."""

import re
from typing import Any, Final

from django import template
from django.template import Context
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

LATER_WORD: Final = re.compile(r"(?<=[\w>] )(?!Easel\b)[A-Z](?=[a-z]+\b)|(?<=-)[A-Z](?=[a-z]+\b)")
SHARED = ("request", "csrf_token", "visitor")


# What a part is given may well be called `name`, so the parts' own names are not.
@register.simple_tag(takes_context=True)
def part(context: Context, component: str, **given: Any) -> SafeString:
    return _render(context, component, given)


@register.simple_block_tag(takes_context=True)
def box(context: Context, content: str, component: str, **given: Any) -> SafeString:
    """`content` is what stands between the tags, rendered in the page's own context."""
    return _render(context, component, {**given, "content": content})


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """`size`: s, l, or empty. Decoration: whoever uses it says the same in words."""
    classes = f"icon icon-{size}" if size else "icon"
    return format_html(
        '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        classes,
        static("console/icons.svg"),
        name,
    )


@register.filter(is_safe=True)
def sentence(text: str) -> str:
    """Titles of allauth's, which it writes As English Titles Are, as the console writes them: As english titles are."""
    return LATER_WORD.sub(lambda found: found[0].lower(), text)


def _render(context: Context, component: str, given: dict[str, Any]) -> SafeString:
    shared = {key: context[key] for key in SHARED if key in context}
    return render_to_string(f"console/parts/{component}.html", {**shared, **given})
