"""`/moderations`: what the platform's and the account's policy say of texts and pictures, in OpenAI's categories."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from billing import throttling
from easel import uploads
from easel.identifiers import new_id
from easel.problems import Problem, invalid
from generation import judging
from generation.compat.fields import Fields
from generation.compat.openai.asking import NOT_SUPPORTED
from generation.compat.views import WRITE, DialectView, sent
from generation.downloads import fetched
from generation.spec import LONGEST_PROMPT
from moderation import images, policy, prompts
from moderation.categories import UNSCREENED
from moderation.findings import Judgment
from moderation.models import Verdict
from moderation.policy import Effective
from tenants.authentication import principal_of
from tenants.scope import tenant_scope
from tenants.tokens import Principal

MOST_INPUTS: Final = 32
MODEL: Final = "easel-moderation"
# Theirs → ours. What has no category of theirs shows in `flagged` and in `easel`.
CATEGORIES: Final[Mapping[str, str]] = {
    "harassment": "private-persons", "harassment/threatening": "", "hate": "hate", "hate/threatening": "",
    "illicit": "illegal", "illicit/violent": "", "self-harm": "self-harm", "self-harm/instructions": "",
    "self-harm/intent": "", "sexual": "sexual", "sexual/minors": "sexual/minors", "violence": "violence",
    "violence/graphic": "",
}  # fmt: skip
NO_PICTURE: Final = "A data: URL of a PNG, JPEG or WebP file, or an address."


@dataclass(frozen=True, slots=True)
class Read:
    """One input judged, with every score that is known."""

    kind: str  # text, image
    judgment: Judgment
    scores: Mapping[str, float]


class Moderations(DialectView):
    scopes: ClassVar = {"POST": WRITE}

    def post(self, request: Request) -> Response:
        fields = Fields(sent(request))
        inputs = fields.take("input")
        fields.take("model")  # there is one
        fields.none_left(NOT_SUPPORTED)
        results = [_result(each) for each in _read(inputs, principal_of(request))]
        return Response({"id": f"modr-{new_id().hex}", "model": MODEL, "results": results})


def _read(inputs: Any, principal: Principal) -> list[list[Read]]:
    """What each result is about: every text of a list by itself, but the parts of a multimodal input together."""
    listed = [inputs] if isinstance(inputs, str) else inputs
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_INPUTS:
        raise invalid("input", "invalid", f"A text, or a list of at most {MOST_INPUTS} texts or parts.")
    if sum(_is_far(each) for each in listed) > 1:
        raise invalid("input", "invalid", "One picture by its address at most; send others as data: URLs.")
    throttling.check(principal, times=len(listed) - 1)  # each costs what a request costs
    if all(isinstance(each, str) for each in listed):
        return [[_text(each, principal, "input")] for each in listed]
    return [[_part(each, principal, f"input.{index}") for index, each in enumerate(listed)]]


def _is_far(part: Any) -> bool:
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return not url.startswith("data:")
    return False


def _part(part: Any, principal: Principal, field: str) -> Read:
    match part:
        case {"type": "text", "text": str(text)}:
            return _text(text, principal, field)
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return _image(url, principal, field)
    raise invalid(field, "invalid", 'A part of type "text" or "image_url".')


def _text(text: str, principal: Principal, field: str) -> Read:
    if not 1 <= len(text) <= LONGEST_PROMPT:
        raise invalid(field, "invalid", f"1 to {LONGEST_PROMPT} characters.")
    return _judged("text", prompts.judge(text, "", _policy(principal)))


def _image(url: str, principal: Principal, field: str) -> Read:
    inline = url.startswith("data:")
    data = _inline(url, field) if inline else fetched(url, field, tenant_id=principal.tenant_id)
    try:
        upload = uploads.read(data)
    except uploads.BadUpload as error:
        raise invalid(field, error.code, error.detail) from error
    shown = judging.shown(upload.png)
    return _judged("image", images.judge(shown, _policy(principal), layer=Verdict.Layer.PREVIEW))


def _policy(principal: Principal) -> Effective:
    with tenant_scope(principal.tenant_id):
        return policy.effective(principal.tenant_id, principal.key.key_id)


def _judged(kind: str, judgment: Judgment) -> Read:
    """Where a layer could not answer, a guess would be worse than none."""
    if any(finding.category == UNSCREENED for finding in judgment.findings):
        raise Problem("overloaded", "Moderation cannot judge at the moment; try again.")
    scores = dict(judgment.scores)
    for finding in judgment.findings:
        scores[finding.category] = max(scores.get(finding.category, 0.0), finding.score)
    return Read(kind, judgment, scores)


def _result(reads: list[Read]) -> dict[str, Any]:
    flagged = {category for read in reads for category in read.judgment.flagged}
    kinds = sorted({read.kind for read in reads})
    scores = {
        theirs: round(max((read.scores.get(ours, 0.0) for read in reads), default=0.0), 6)
        for theirs, ours in CATEGORIES.items()
    }
    return {
        "flagged": bool(flagged),
        "categories": {theirs: ours in flagged for theirs, ours in CATEGORIES.items()},
        "category_scores": scores,
        "category_applied_input_types": dict.fromkeys(CATEGORIES, kinds),
        "easel": {"action": _worst(reads), "categories": sorted(flagged)},
    }


def _worst(reads: list[Read]) -> str:
    actions = {read.judgment.found for read in reads}
    return next(action for action in ("block", "review", "allow") if action in actions)


def _inline(url: str, field: str) -> bytes:
    head, _, text = url.partition(",")
    try:
        if head.endswith(";base64"):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(field, "invalid", NO_PICTURE) from error
    raise invalid(field, "invalid", NO_PICTURE)
