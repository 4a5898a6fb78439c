"""`POST /v1/moderations`: what moderation says of texts or pictures, under the policy of the key that asks. Nothing is
kept, and nothing is charged."""

from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import throttling
from easel import uploads
from easel.fields import StrictForm, StrictString
from easel.problems import Problem, invalid
from generation import judging
from generation.given import GivenPicture
from generation.spec import LONGEST_PROMPT
from moderation import images, policy, prompts
from moderation.categories import CATEGORIES, UNSCREENED
from moderation.findings import Judgment
from moderation.models import Verdict
from moderation.policy import Effective
from tenants.authentication import principal_of
from tenants.scope import tenant_scope

MOST_INPUTS: Final = 16


class Texts(serializers.Field[list[str], Any, list[str], Any]):
    """A string, or a list of strings."""

    default_error_messages = {"invalid": f"A string, or a list of 1 to {MOST_INPUTS} strings, is needed."}

    def to_internal_value(self, data: Any) -> list[str]:
        given = data if isinstance(data, list) else [data]
        if not 1 <= len(given) <= MOST_INPUTS:
            self.fail("invalid")
        field = StrictString(max_length=LONGEST_PROMPT)
        if any(not isinstance(each, str) for each in given):
            self.fail("invalid")
        return [field.run_validation(each) for each in given]

    def to_representation(self, value: list[str]) -> list[str]:
        return value


class ModerationRequest(StrictForm):
    input = Texts(required=False, help_text="What to judge: one text, or several.")
    image = GivenPicture(required=False, help_text="Or a picture: base64 of a PNG, JPEG or WebP file.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Send either input or image.", code="required")
        return attrs


class Moderations(APIView):
    scopes: ClassVar = {"POST": "generations:write"}

    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        form = ModerationRequest(data=request.data)
        form.is_valid(raise_exception=True)
        with tenant_scope(principal.tenant_id):
            effective = policy.effective(principal.tenant_id, principal.key.key_id)
        if "image" in form.validated_data:
            judgments = [_of_image(form.validated_data["image"], effective)]
        else:
            texts = form.validated_data["input"]
            throttling.check(principal, times=len(texts) - 1)  # each costs what a request costs
            judgments = [prompts.judge(text, "", effective) for text in texts]
        return Response({"object": "moderation", "results": [_result(judgment) for judgment in judgments]})


def _of_image(given: Any, effective: Effective) -> Judgment:
    if not isinstance(given, bytes):
        raise invalid("image", "invalid", "Base64 of a PNG, JPEG or WebP file is needed.")
    try:
        upload = uploads.read(given)
    except uploads.BadUpload as error:
        raise invalid("image", error.code, error.detail) from error
    return images.judge(judging.shown(upload.png), effective, layer=Verdict.Layer.PREVIEW)


def _result(judgment: Judgment) -> dict[str, Any]:
    """Raises Problem where a layer could not answer: a guess would be worse."""
    if any(finding.category == UNSCREENED for finding in judgment.findings):
        raise Problem("overloaded", "Moderation cannot judge at the moment. Try again.")
    scores = dict.fromkeys(CATEGORIES, 0.0)
    for category, score in judgment.scores.items():
        if category in scores:
            scores[category] = round(score, 4)
    for finding in judgment.findings:
        if finding.category in scores:
            scores[finding.category] = max(scores[finding.category], round(finding.score, 4))
    flagged = judgment.flagged
    return {
        "flagged": bool(flagged),
        "action": judgment.found,
        "categories": {category: category in flagged for category in scores},
        "category_scores": scores,
    }
