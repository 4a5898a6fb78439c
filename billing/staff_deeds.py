"""Tables of the staff's port whose rows stay as they are, and the deeds that are done to them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from billing import ledger, plans
from easel.requests import client_address
from tenants.audit import Actor
from tenants.models import AuditRecord, User
from tenants.staff_forms import ActionForm
from tenants.staff_site import LookedAt, Table

REFUSALS = (ledger.InsufficientCredits, ledger.NothingToRefund, plans.NoPlan, ValueError)


class ReadOnly(LookedAt[Any]):
    """To be looked at: rows come from the ledger and stay as they are."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return obj is None and Table.has_change_permission(self, request, obj)  # actions, but no editing

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *where: Any, **options: Any
    ) -> HttpResponse | None:
        """What the form refuses is said by field. Django itself would only say that no action is selected."""
        form = self._form(request)
        if form.is_valid() or "action" in form.errors:
            return super().response_action(request, queryset, *where, **options)
        for name, errors in form.errors.items():
            for error in errors:
                self.message_user(request, f"{form.fields[name].label or name}: {error}", messages.ERROR)
        return None

    def asked(self, request: HttpRequest) -> dict[str, Any]:
        """What the form says, in an action: it was found valid before."""
        form = self._form(request)
        form.full_clean()
        return form.cleaned_data

    def deed(self, request: HttpRequest) -> dict[str, Any]:
        """The same of a DeedForm, as `billing.staff` takes it."""
        asked = self.asked(request)
        once: UUID | None = asked["once"]
        return {"amount": asked["amount"], "reason": asked["reason"], "reference": once.hex if once else ""}

    def _form(self, request: HttpRequest) -> ActionForm:
        form: ActionForm = self.action_form(request.POST)
        form.fields["action"].choices = self.get_action_choices(request)  # type: ignore[attr-defined]
        return form

    def do(self, request: HttpRequest, chosen: QuerySet[Any], deed: Callable[[Any, Actor], object]) -> None:
        """Do the deed to each chosen row in a transaction of its own, and say how it went."""
        for each in chosen:
            try:
                done = deed(each, actor_of(request))
            except REFUSALS as error:
                self.message_user(request, f"{each.tenant}: {error}", messages.ERROR)
            except DataError:  # of the amounts that the form lets through only a sum is out of range
                said = gettext("%(tenant)s: a wallet does not hold so many credits.") % {"tenant": each.tenant}
                self.message_user(request, said, messages.ERROR)
            else:
                if done is False:
                    said, level = gettext("%(tenant)s: was done already."), messages.WARNING
                else:
                    said, level = gettext("%(tenant)s: done."), messages.SUCCESS
                self.message_user(request, said % {"tenant": each.tenant}, level)


def actor_of(request: HttpRequest) -> Actor:
    person = request.user
    name = person.email if isinstance(person, User) else ""
    return Actor(kind=AuditRecord.Actor.STAFF, name=name, address=client_address(request))
