"""The console's page of what a tenant asks for its data: encrypted files, prompts in files, signatures, the
visible mark, retention."""

from dataclasses import asdict

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing import plans
from generation import moderation_policy_api
from moderation import policy as moderation_policy
from moderation.models import TenantPolicy
from tenants import data_policy
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

MANAGE = "tenant.change"


class PolicyForm(forms.Form):
    seal_images = forms.BooleanField(
        label=gettext_lazy("Store pictures encrypted under this workspace's key"),
        help_text=gettext_lazy("From now on. They are then always served by Easel, never straight from the store."),
        required=False,
    )
    prompts_in_files = forms.BooleanField(
        label=gettext_lazy("Write prompts into the files of unencrypted pictures"),
        help_text=gettext_lazy("As other programs read them. Whoever gets a file can then read its prompt."),
        required=False,
    )
    own_certificate = forms.BooleanField(
        label=gettext_lazy("Sign pictures in this workspace's name"),
        help_text=gettext_lazy("The C2PA manifest then names the workspace instead of the platform."),
        required=False,
    )
    visible_mark = forms.BooleanField(
        label=gettext_lazy("Write on each picture that AI made it"),
        help_text=gettext_lazy(
            "In a corner, in Chinese and English, from the next picture on. Each file says so anyhow."
        ),
        required=False,
    )
    retention_days = forms.IntegerField(
        label=gettext_lazy("Days that pictures and prompts are kept"),
        help_text=gettext_lazy("Empty: as long as the plan says. It counts for everything there is already."),
        min_value=1,
        required=False,
    )

    def __init__(self, longest: int, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._longest = longest
        if moderation_policy.marks_every_image():
            mark = self.fields["visible_mark"]
            mark.disabled, mark.initial = True, True
            self.initial["visible_mark"] = True
            mark.help_text = _("The rules of this installation's region want it on every picture.")

    def clean_retention_days(self) -> int | None:
        days: int | None = self.cleaned_data["retention_days"]
        if days is not None and days > self._longest:
            raise forms.ValidationError(_("The plan keeps pictures for %(days)d days.") % {"days": self._longest})
        return days


@console_page({"GET": MANAGE, "POST": MANAGE})
def policy_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        policy, limits = data_policy.policy_of(visitor.tenant_id), plans.limits_of(visitor.tenant_id)
        marks = TenantPolicy.objects.filter(key_id=None, visible_mark=True).exists()
    posted = request.POST if request.method == "POST" else None
    form = PolicyForm(limits.retention_days, posted, initial={**asdict(policy), "visible_mark": marks})
    if request.method == "POST" and form.is_valid():
        wishes = form.cleaned_data
        mark = wishes.pop("visible_mark")
        with tenant_scope(visitor.tenant_id):
            data_policy.change(visitor.tenant_id, **wishes)
            if mark != marks and not moderation_policy.marks_every_image():
                moderation_policy_api.change(visitor.tenant_id, None, {"visible_mark": mark})
        messages.success(request, _("Saved."))
        return redirect("data-policy-page")
    effective = min(policy.retention_days or limits.retention_days, limits.retention_days)
    context = {"visitor": visitor, "form": form, "effective": effective, "longest": limits.retention_days}
    return render(request, "console/policy.html", context)


urlpatterns = [path("console/data-policy", policy_page, name="data-policy-page")]
