"""What each call of this app takes and answers, for `/openapi.json`."""

# Answers have fields named such as `data`, which serializers have, too; DRF tells them apart, its stubs do not.
# mypy: disable-error-code="assignment"

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from billing import allowances_api, api
from easel.openapi import describe


class UsageSums(serializers.Serializer[Any]):
    generations = serializers.IntegerField()
    images = serializers.IntegerField()
    charged = serializers.IntegerField()
    refunded = serializers.IntegerField()
    credits = serializers.IntegerField(help_text="`charged` less `refunded`.")


class UsageGroup(UsageSums):
    day = serializers.DateField(required=False)
    key = serializers.CharField(required=False, allow_null=True)
    model = serializers.CharField(required=False)
    status = serializers.CharField(required=False)


class UsageAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["usage"])
    to = serializers.DateField()
    group_by = serializers.ListField(child=serializers.CharField())
    data = UsageGroup(many=True)
    total = UsageSums()

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": serializers.DateField()}


class PlanOfAccount(serializers.Serializer[Any]):
    name = serializers.CharField()
    slug = serializers.CharField()
    version = serializers.IntegerField()
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()


class LotOfWallet(serializers.Serializer[Any]):
    source = serializers.CharField()
    available = serializers.IntegerField()
    expires_at = serializers.DateTimeField(allow_null=True)


class WalletAnswer(serializers.Serializer[Any]):
    available = serializers.IntegerField()
    held = serializers.IntegerField()
    lots = LotOfWallet(many=True)


class QuotaAnswer(serializers.Serializer[Any]):
    used = serializers.IntegerField()
    allowed = serializers.IntegerField(allow_null=True)
    resets_at = serializers.DateTimeField()


class SpendAnswer(serializers.Serializer[Any]):
    this_month = serializers.IntegerField()
    cap = serializers.IntegerField(allow_null=True, help_text="The lower of your own and the staff's.")


class AccountAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["account"])
    id = serializers.UUIDField()
    name = serializers.CharField()
    plan = PlanOfAccount()
    limits = serializers.DictField(child=serializers.JSONField())
    wallet = WalletAnswer()
    quotas = serializers.DictField(child=QuotaAnswer())
    spend = SpendAnswer()


class AllowanceAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["allowance"])
    key = serializers.CharField(allow_null=True, help_text="null: the account as a whole.")
    spend_cap = serializers.IntegerField(allow_null=True, help_text="Your own.")
    generations_per_day = serializers.IntegerField(allow_null=True)
    generations_per_month = serializers.IntegerField(allow_null=True)
    requests_per_minute = serializers.IntegerField(allow_null=True)
    staff_cap = serializers.IntegerField(
        allow_null=True, help_text="A spend cap that the platform's staff have set. The lower of the two counts."
    )


class AllowancesAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["list"])
    data = AllowanceAnswer(many=True)


def _day(name: str, said: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.DATE, description=said)


describe(
    api.Usage, "get", answers={200: UsageAnswer}, summary="What was used", also=(400,), name="getUsage", tag="account",
    parameters=[
        _day("from", "First day (UTC); if left out, this month's first."),
        _day("to", "Last day (UTC); today if left out."),
        OpenApiParameter("group_by", str, description="`day`, `key`, `model`, `status`, or several with commas."),
    ],
)  # fmt: skip
describe(
    api.Account, "get", answers={200: AccountAnswer}, summary="Plan, limits, wallet and quotas", also=(404,),
    name="getAccount", tag="account",
)  # fmt: skip
describe(
    allowances_api.AllowanceList, "get", answers={200: AllowancesAnswer}, summary="Limits you set yourself",
    name="listAllowances", tag="account",
)  # fmt: skip
describe(
    allowances_api.AllowanceDetail, "patch", takes=allowances_api.AllowanceForm, answers={200: AllowanceAnswer},
    summary="Limit the account or one of its keys", name="changeAllowance", tag="account",
)  # fmt: skip
