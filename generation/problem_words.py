"""What a problem means to a person at the console, in their language: what happened, and what to do."""

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from easel.problems import Problem


@dataclass(frozen=True, slots=True)
class Words:
    title: Promise
    advice: Promise
    kind: str = "bad"


_WORDS: Final[dict[str, Words]] = {
    "invalid_request": Words(_("Something in the form does not fit"), _("Look at what is named below.")),
    "content_rejected": Words(
        _("This was not drawn"),
        _("The words or the picture are against the rules of this place. Nothing was charged. Say it differently, or "
          "appeal if you think we are wrong."),
        "warn",
    ),
    "insufficient_credits": Words(_("Not enough credits"), _("Draw fewer or smaller pictures, or get more credits.")),
    "spend_cap_reached": Words(_("The spend cap is reached"), _("An owner can raise it.")),
    "quota_exceeded": Words(_("The quota is used up"), _("It fills up again by itself; the plan page says when.")),
    "rate_limited": Words(_("A little slower, please"), _("Try again in a moment."), "warn"),
    "too_many_queued": Words(_("Too many pictures are waiting"), _("Wait for some, or cancel some."), "warn"),
    "model_unavailable": Words(_("This model cannot draw now"), _("Nothing was charged. Choose another one.")),
    "overloaded": Words(_("Not now"), _("Nothing was charged. Try again in a moment."), "warn"),
    "tenant_suspended": Words(_("This workspace is suspended"), _("Ask whoever runs this Easel.")),
    "not_found": Words(_("It is not there any more"), _("Perhaps somebody deleted it.")),
}  # fmt: skip
_OTHER: Final = Words(_("That did not work"), _("Try again. If it stays, tell us the request id."))


def of(problem: Problem) -> Words:
    return _WORDS.get(problem.code, _OTHER)
