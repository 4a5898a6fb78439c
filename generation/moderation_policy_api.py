"""`/v1/moderation-policy`: how much stricter a tenant, or one of its keys, wants moderation; and the visible mark. The
platform's own policy is the floor: nothing here lets anything be shown that it would not. What a plan has to have for
it (`billing.models.MODERATION_OPTIONS`) is looked at when it is asked for, and again whenever it would count."""

from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.models import MODERATION_OPTIONS
from easel.database import rows
from easel.fields import StrictBoolean, StrictForm, StrictList, StrictString
from easel.problems import Problem, invalid
from moderation import policy
from moderation.categories import CATEGORIES
from moderation.models import TenantPolicy
from moderation.text.reading import readable
from tenants import audit
from tenants.authentication import principal_of
from tenants.models import APIKey
from tenants.scope import tenant_scope

MOST_TERMS: Final = 500
SHORTEST_TERM: Final = 2
TRIED_DAYS: Final = 7
_WOULD_HAVE: Final = """
SELECT category, action, count(DISTINCT generation_id) FROM moderation_verdict
WHERE tenant_id = %s AND shadow AND rule = %s AND created_at > now() - make_interval(days => %s)
GROUP BY category, action ORDER BY category, action
"""


class PolicyRequest(StrictForm):
    """What is left out stays as it is."""

    categories = serializers.DictField(
        child=serializers.ChoiceField(choices=("review", "block")), required=False,
        help_text="Category → review or block, wherever something of it is found.",
    )  # fmt: skip
    terms = StrictList(
        child=StrictString(max_length=100), required=False, max_length=MOST_TERMS,
        help_text="Words of your own that block a prompt. Not every plan has them.",
    )  # fmt: skip
    visible_mark = StrictBoolean(required=False, help_text="Write on each image that it is AI-generated.")
    review_instead_of_block = StrictBoolean(
        required=False,
        help_text="Have drawn, and held for staff, what the platform would block for its words. Not every plan has it.",
    )
    shadow = StrictBoolean(required=False, help_text="Only record what these categories and terms would have done.")

    def validate_categories(self, value: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(set(value) - set(CATEGORIES)):
            raise serializers.ValidationError(
                f"There is no category {unknown[0]!r}. There are {', '.join(CATEGORIES)}.", code="invalid_choice"
            )
        return value

    def validate_terms(self, value: list[str]) -> list[str]:
        if short := next((term for term in value if len(readable(term)) < SHORTEST_TERM), None):
            raise serializers.ValidationError(f"{short!r} is too short to be looked for.", code="too_short")
        return list(dict.fromkeys(value))


class AccountPolicy(APIView):
    scopes: ClassVar = {"GET": "account:read", "PATCH": "account:write"}

    def get(self, request: Request) -> Response:
        """What the account asks for, and what counts by it."""
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            return Response(_told(tenant_id, None))

    def patch(self, request: Request) -> Response:
        """Change what the account asks for, for all of its keys."""
        tenant_id = principal_of(request).tenant_id
        form = PolicyRequest(data=request.data)
        form.is_valid(raise_exception=True)
        with tenant_scope(tenant_id):
            change(tenant_id, None, form.validated_data)
            return Response(_told(tenant_id, None))


class KeyPolicy(APIView):
    scopes: ClassVar = {"GET": "account:read", "PATCH": "account:write"}

    def get(self, request: Request, public_id: str) -> Response:
        """What one key asks for beside the account, and what counts for it."""
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            return Response(_told(tenant_id, _key(public_id)))

    def patch(self, request: Request, public_id: str) -> Response:
        """Change what one key asks for beside the account."""
        tenant_id = principal_of(request).tenant_id
        form = PolicyRequest(data=request.data)
        with tenant_scope(tenant_id):
            key = _key(public_id)
            form.is_valid(raise_exception=True)
            change(tenant_id, key, form.validated_data)
            return Response(_told(tenant_id, key))


def _key(public_id: str) -> APIKey:
    key: APIKey | None = APIKey.objects.filter(public_id=public_id).first()
    if key is None:
        raise Problem("not_found", "There is no such key.")
    return key


def change(tenant_id: UUID, key: APIKey | None, wishes: dict[str, Any]) -> None:
    """What the account or one of its keys asks for, on record. Needs the tenant's scope. Raises Problem
    invalid_request for what the plan does not have."""
    _within_plan(tenant_id, key, wishes)
    TenantPolicy.objects.update_or_create(tenant_id=tenant_id, key_id=key.id if key else None, defaults=wishes)
    audit.record(
        "moderation_policy.changed", tenant_id=tenant_id, object_kind="key" if key else "tenant",
        object_id=key.public_id if key else tenant_id,
        details={**wishes, "terms": len(wishes["terms"])} if "terms" in wishes else wishes,
    )  # fmt: skip
    policy.forget()


def _within_plan(tenant_id: UUID, key: APIKey | None, wishes: dict[str, Any]) -> None:
    """What was set under another plan may be taken back under any. Raises Problem invalid_request."""
    before = _own(tenant_id, key)
    if set(wishes.get("terms", [])) - set(before.terms if before else []):
        _need(tenant_id, "own_word_lists", "terms", "The plan has no word lists of your own.")
    if wishes.get("review_instead_of_block"):
        _need(tenant_id, policy.ASK_PEOPLE, policy.ASK_PEOPLE, "In this plan nothing is reviewed instead of blocked.")


def _need(tenant_id: UUID, option: str, field: str, detail: str) -> None:
    if not policy.allowed(tenant_id, option):
        raise invalid(field, "above_plan", detail)


def _own(tenant_id: UUID, key: APIKey | None) -> TenantPolicy | None:
    found: TenantPolicy | None = TenantPolicy.objects.filter(
        tenant_id=tenant_id, key_id=key.id if key else None
    ).first()
    return found


def _told(tenant_id: UUID, key: APIKey | None) -> dict[str, Any]:
    own = _own(tenant_id, key)
    counts, options = policy.read(tenant_id, key.id if key else None), policy.options(tenant_id)
    return {
        "object": "moderation_policy",
        "key": key.public_id if key else None,
        "categories": own.categories if own else {},
        "terms": own.terms if own else [],
        "visible_mark": own.visible_mark if own else False,
        "review_instead_of_block": own.review_instead_of_block if own else False,
        "shadow": own.shadow if own else False,
        "plan_allows": {option: option in options for option in sorted(MODERATION_OPTIONS)},
        "would_have": _would_have(tenant_id),
        "effective": {
            "platform_version": counts.version,
            "platform_shadow": counts.shadow,
            "categories": {
                category: {"text": counts.mildest(category, "text"), "image": counts.mildest(category, "image")}
                for category in CATEGORIES
            },
            "visible_mark": counts.visible_mark,
            "review_instead_of_block": counts.asks_people,
        },
    }


def _would_have(tenant_id: UUID) -> list[dict[str, Any]]:
    """What the account's and its keys' policies in shadow mode would have done lately."""
    return [
        {"category": category, "action": action, "generations": count}
        for category, action, count in rows(_WOULD_HAVE, [tenant_id, policy.TRIED, TRIED_DAYS])
    ]
