"""What is kept of a request in English (its warnings, and why moderation refused it), in the language of whoever reads
it on a page. Programs get it as it was kept.

Each text is known by its shape. What has another shape is shown in English, and said to be.
"""

import re
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from moderation.cards import title_of

_SIZE: Final = r"(?P<model>.+) draws at (?P<native>\d+×\d+); the picture was {} to (?P<size>\d+×\d+)\."
_UNREAD: Final = (
    r"The {} is (?P<tokens>\d+) tokens long, and (?P<model>.+) reads (?P<room>\d+): the rest had no effect\."
)

SHAPES: Final[tuple[tuple[re.Pattern[str], Promise], ...]] = tuple(
    (re.compile(shape, re.DOTALL), text)
    for shape, text in (
        (
            _SIZE.format("enlarged"),
            _("%(model)s draws at %(native)s; the picture was enlarged to %(size)s."),
        ),
        (
            _SIZE.format("reduced"),
            _("%(model)s draws at %(native)s; the picture was reduced to %(size)s."),
        ),
        (
            _UNREAD.format("prompt"),
            _("The prompt is %(tokens)s tokens long, and %(model)s reads %(room)s: the rest had no effect."),
        ),
        (
            _UNREAD.format("negative prompt"),
            _("The negative prompt is %(tokens)s tokens long, and %(model)s reads %(room)s: the rest had no effect."),
        ),
        (
            r"Drawn by a backup service: steps, seed, sampler and guidance are its own\.",
            _("Drawn by a backup service: steps, seed, sampler and guidance are its own."),
        ),
        (
            r"Moderation rejected (?P<refused>\d+) of (?P<n>\d+) images \((?P<category>[\w/-]+)\)\.",
            _("Moderation rejected %(refused)s of %(n)s images (%(category)s)."),
        ),
        (
            r"(?P<failed>\d+) of (?P<n>\d+) images could not be drawn \((?P<code>\w+)\)\.",
            _("%(failed)s of %(n)s images could not be drawn (%(code)s)."),
        ),
        (
            r"Image (?P<index>\d+) was taken down after a complaint\.",
            _("Image %(index)s was taken down after a complaint."),
        ),
        (
            r"Moderation let no picture of it through \((?P<category>[\w/-]+)\)\.",
            _("Moderation let no picture of it through (%(category)s)."),
        ),
        (
            r"The prompt is against the policy \((?P<category>[\w/-]+)\)\. "
            r"Nothing was drawn, and nothing was charged\.",
            _("The prompt is against the policy (%(category)s). Nothing was drawn, and nothing was charged."),
        ),
    )
)


def translated(text: str) -> str | None:
    """None for a text of no known shape."""
    for shape, words in SHAPES:
        found = shape.fullmatch(text)
        if found:
            parts = found.groupdict()
            if "category" in parts:
                parts["category"] = title_of(parts["category"])
            return str(words) % parts
    return None
