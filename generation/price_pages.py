"""The console's price calculator: what a request costs, and how many of them a month's credits pay for."""

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext_lazy

from billing import pricing, standing
from generation import samplers
from generation.models import Model
from generation.request import LARGEST_SIZE
from generation.routing import usable
from generation.spec import MOST_IMAGES, MOST_STEPS, GenerationSpec
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

MOST_A_MONTH: Final = 100_000_000


class PriceForm(forms.Form):
    model = forms.ChoiceField(label=gettext_lazy("Model"))
    width = forms.IntegerField(label=gettext_lazy("Width"), min_value=64, max_value=LARGEST_SIZE, step_size=8)
    height = forms.IntegerField(label=gettext_lazy("Height"), min_value=64, max_value=LARGEST_SIZE, step_size=8)
    steps = forms.IntegerField(label=gettext_lazy("Steps"), min_value=1, max_value=MOST_STEPS)
    sampler = forms.ChoiceField(
        label=gettext_lazy("Sampler"), choices=[(each.name, each.name) for each in samplers.SAMPLERS]
    )
    n = forms.IntegerField(label=gettext_lazy("Images of one request"), min_value=1, max_value=MOST_IMAGES)
    requests = forms.IntegerField(label=gettext_lazy("Requests a month"), min_value=0, max_value=MOST_A_MONTH)
    cached = forms.IntegerField(label=gettext_lazy("Of a hundred, equal to an earlier one"), min_value=0, max_value=100)

    def __init__(self, models: list[Model], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["model"].choices = [(each.name, each.title) for each in models]  # type: ignore[attr-defined]


@console_page
def price_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """The whole page; for htmx, which asks at every change, only the answer."""
    with tenant_scope(visitor.tenant_id):
        models = list(usable(visitor.tenant_id).order_by("-is_default", "title"))
        stands = standing.of(visitor.tenant_id)
    given = {**_defaults(models), **request.GET.dict()}
    form = PriceForm(models, given if models else None)
    shown = cost(form.cleaned_data, models, stands) if form.is_valid() else None
    template = "answer" if request.headers.get("HX-Request") == "true" else "page"
    context = {"visitor": visitor, "form": form, "cost": shown, "stands": stands}
    return render(request, f"console/prices/{template}.html", context)


def cost(asked: dict[str, Any], models: list[Model], stands: standing.Standing) -> dict[str, Any]:
    model = next(each for each in models if each.name == asked["model"])
    spec = GenerationSpec(
        prompt="", negative_prompt="", steps=asked["steps"], width=asked["width"], height=asked["height"],
        cfg_scale=7.0, sampler=asked["sampler"], seed=0, n=asked["n"], format="png",
    )  # fmt: skip
    each = spec.price(factor=model.factor, native_size=model.native_size)
    cached = pricing.cached_credits(each, percent=stands.limits.cached_price_percent)
    repeated = asked["requests"] * asked["cached"] // 100
    month = each * (asked["requests"] - repeated) + cached * repeated
    return {
        "each": each,
        "image": each // asked["n"],
        "cached": cached,
        "month": month,
        "plan": stands.limits.monthly_credits,
        "share": round(100 * month / stands.limits.monthly_credits) if stands.limits.monthly_credits else None,
        "fits": stands.limits.monthly_credits // each,
        "calls": samplers.find(asked["sampler"]).calls(asked["steps"]),
        "native": model.native_size,
    }


def _defaults(models: list[Model]) -> dict[str, Any]:
    if not models:
        return {}
    first = models[0]
    return {
        "model": first.name, "width": first.default_size, "height": first.default_size, "steps": first.default_steps,
        "sampler": first.default_sampler, "n": 1, "requests": 1000, "cached": 0,
    }  # fmt: skip


urlpatterns = [path("console/prices", price_page, name="prices")]
