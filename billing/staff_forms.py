"""What staff write beside the rows that they choose: an amount, a reason, a version of a plan."""

from typing import Any, Final
from uuid import uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from billing.models import PlanVersion
from easel.pages import LONGEST_NUMBER, whole
from tenants.staff_forms import ActionForm, NumberInput, Select, TextInput

NEED_AN_AMOUNT: Final = {"grant", "adjust", "cap", "refund"}


class AmountField(forms.CharField):
    """Credits as they are written in digits, with a minus before them or without: nothing that would be guessed at."""

    widget = NumberInput
    default_error_messages = {"invalid": _("a whole number of at most %(digits)s digits.")}

    def to_python(self, value: Any) -> int | None:  # type: ignore[override]
        text = super().to_python(value) or ""
        amount = whole(text.removeprefix("-"))
        if amount is None and text:
            raise self.refusal()
        return -amount if amount and text.startswith("-") else amount

    def refusal(self) -> ValidationError:
        return ValidationError(self.error_messages["invalid"], code="invalid", params={"digits": LONGEST_NUMBER})


class DeedForm(ActionForm):
    """What the deeds below need, beside the rows they are done to. `once` is of the page: what is sent twice from it
    is done once."""

    amount = AmountField(label=_("Amount"), required=False)
    reason = forms.CharField(label=_("Reason"), required=False, max_length=500, widget=TextInput)
    once = forms.UUIDField(label="", required=False, initial=uuid4, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = self.cleaned_data
        if given.get("action") in NEED_AN_AMOUNT and "amount" not in self.errors and given["amount"] is None:
            self.add_error("amount", AmountField().refusal())
        return given


class ReasonForm(ActionForm):
    reason = forms.CharField(label=_("Reason"), required=False, max_length=500, widget=TextInput)


class PlanDeedForm(ActionForm):
    version = forms.ModelChoiceField(
        PlanVersion.objects.none(), label=_("Version of a plan"), required=False, widget=Select
    )
    reason = forms.CharField(label=_("Reason"), required=False, max_length=500, widget=TextInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["version"].queryset = PlanVersion.objects.select_related("plan")  # type: ignore[attr-defined]
