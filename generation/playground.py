"""The playground: every parameter of a generation, its price while one types, and the pictures as they are drawn.

What it submits goes through `submission.submit`, like a program's request, under the workspace's console key.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext_lazy as _
from rest_framework.serializers import ValidationError

from billing import throttling
from easel.identifiers import new_id
from easel.problems import Problem, as_problem
from easel.requests import current_request_id
from generation import (
    cancel,
    derived_api,
    given_pages,
    grid,
    playground_form,
    problem_words,
    prompt_tokens,
    quotes,
    runs,
    samplers,
    snippets,
)
from generation.catalogue import available, sample_file
from generation.models import Model
from generation.playground_form import Settings
from generation.spec import FORMATS, MOST_CLIP_SKIP, MOST_IMAGES, InputReference
from generation.submission import submit
from tenants.console import Visitor, console_page
from tenants.console_key import principal_for
from tenants.scope import tenant_scope
from tenants.tokens import Principal

MAKE: Final = "pictures.make"
SHAPES: Final = (
    ("square", _("Square"), 1, 1),
    ("portrait", _("Portrait"), 2, 3),
    ("landscape", _("Landscape"), 3, 2),
    ("wide", _("Wide"), 16, 9),
)
# Words that ask for a style, as they are put behind a prompt.
STYLES: Final = (
    (_("3D render"), ", 3d render"),
    (_("Cartoon"), ", cartoon"),
    (_("Flat illustration"), ", flat illustration"),
)


@console_page({"GET": MAKE})
def playground(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    settings = Settings.of_link(request.GET).values
    with tenant_scope(visitor.tenant_id):
        models = [(model, sample_file(model) is not None) for model in available(visitor.tenant_id)]
        latest = runs.page(visitor)
        start = given_pages.address(settings.get("init_image", ""))
    context = {
        "models": models,
        "default": next((model for model, _sample in models if model.is_default), models[0][0] if models else Model()),
        "chosen": settings.get("model", "auto"),
        "settings": settings,
        "start": start,
        "samplers": [each.name for each in samplers.SAMPLERS],
        "formats": FORMATS,
        "counts": range(1, MOST_IMAGES + 1),
        "shapes": SHAPES,
        "styles": STYLES,
        "axes": grid.AXES,
        "most_clip_skip": MOST_CLIP_SKIP,
        "runs": latest.cards,
        "older": latest.older,
    }
    return render(request, "console/playground.html", context)


@console_page({"POST": MAKE})
def draw(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    return _submitting(request, visitor, lambda: playground_form.validated(playground_form.fields(request.POST)))


@console_page({"POST": MAKE})
def vary(request: HttpRequest, visitor: Visitor, image_id: UUID) -> HttpResponse:
    asked = {"n": 4, "strength": derived_api.VARIED}
    return _submitting(request, visitor, lambda: _again(derived_api.variations_of, visitor, image_id, asked))


@console_page({"POST": MAKE})
def enlarge(request: HttpRequest, visitor: Visitor, image_id: UUID) -> HttpResponse:
    asked = {"scale": 2.0, "strength": derived_api.REFINED}
    return _submitting(request, visitor, lambda: _again(derived_api.upscaled, visitor, image_id, asked))


@console_page({"POST": MAKE})
def draw_grid(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """One picture for every pair of two parameters' values, all from the same seed."""
    try:
        table = grid.Grid.read(request.POST, playground_form.fields(request.POST))
        principal = principal_for(visitor)
        asked = [[playground_form.validated(cell) for cell in row] for row in table.requests()]
        throttling.check(principal, times=sum(map(len, asked)))
        made = _all_accepted(asked, principal)
    except (Problem, ValidationError) as error:
        return _refused(request, as_problem(error))
    with tenant_scope(visitor.tenant_id):
        cards = runs.cards(visitor, [each for row in made for each in row])
    by_id = {card.id: card for card in cards}
    rows = [(table.rows[at], [by_id[each] for each in row]) for at, row in enumerate(made)]
    return render(request, "console/playground/grid.html", {"grid": table, "rows": rows})


@console_page({"POST": MAKE})
def quote(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """The price and the prompt's tokens, for what the form says now. Nothing is kept."""
    asked = playground_form.fields(request.POST)
    given = request.POST.get("starts_from") == "picture"
    strength = playground_form.fields({**request.POST.dict(), "init_image": "x"}).get("strength") if given else None
    try:
        data = playground_form.validated_for_quote(asked)
        if given:
            data |= {"init_image": _placeholder(data), **({"strength": strength} if strength else {})}
        answer, model = quotes.quote_for(data, visitor.tenant_id)
    except (Problem, ValidationError) as error:
        return render(request, "console/playground/quote.html", {"problem": as_problem(error)})
    counts = {name: prompt_tokens.count(data.get(name, ""), model) for name in ("prompt", "negative_prompt")}
    return render(request, "console/playground/quote.html", {"quote": answer, "model": model, **counts})


@console_page({"POST": MAKE})
def code(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """The form as a program's request, in three languages."""
    asked = playground_form.fields(request.POST)
    base_url = f"{request.scheme}://{request.get_host()}"
    written = snippets.for_request(playground_form.body(asked), base_url=base_url)
    return render(request, "console/playground/code.html", {"snippets": written})


@console_page
def run(request: HttpRequest, visitor: Visitor, generation_id: UUID) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        card = runs.one(visitor, generation_id)
    template = "cell" if request.GET.get("as") == "cell" else "run"
    return render(request, f"console/playground/{template}.html", {"run": card})


@console_page
def place(request: HttpRequest, visitor: Visitor, generation_id: UUID) -> HttpResponse:
    return render(request, "console/playground/place.html", {"place": runs.place(visitor, generation_id)})


@console_page
def history(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        page = runs.page(visitor, cursor=request.GET.get("cursor", ""))
    return render(request, "console/playground/runs.html", {"runs": page.cards, "older": page.older})


@console_page({"POST": MAKE})
def stop(request: HttpRequest, visitor: Visitor, generation_id: UUID) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        runs.one(visitor, generation_id)  # 404 for what is not there
    cancel.cancel(visitor.tenant_id, generation_id)
    return _shown(request, visitor, generation_id)


@console_page
def stream(request: HttpRequest, visitor: Visitor, generation_id: UUID) -> HttpResponse:
    """Leads to the run's event stream: a ticket is good for two minutes, so it is made when it is used."""
    with tenant_scope(visitor.tenant_id):
        runs.one(visitor, generation_id)
    return HttpResponseRedirect(runs.events_address(visitor, generation_id))


def _submitting(request: HttpRequest, visitor: Visitor, fields: Callable[[], dict[str, Any]]) -> HttpResponse:
    """Submit the fields and show the run; or say, kindly and beside the form, why not."""
    try:
        principal = principal_for(visitor)
        throttling.check(principal)
        generation_id = _accepted(fields(), principal)
    except (Problem, ValidationError) as error:
        return _refused(request, as_problem(error))
    return _shown(request, visitor, generation_id)


def _accepted(data: dict[str, Any], principal: Principal) -> UUID:
    return submit(data, principal=principal, request_id=current_request_id()).generation.id


def _all_accepted(asked: list[list[dict[str, Any]]], principal: Principal) -> list[list[UUID]]:
    """Row by row. Where one is refused, those before it are canceled: their grid is not shown, and would be paid anew
    with the next one, which has another seed."""
    made: list[UUID] = []
    try:
        for row in asked:
            for each in row:
                made.append(_accepted(each, principal))
    except Exception:
        cancel.cancel_many(principal.tenant_id, cancel.Filter(ids=made))
        raise
    rest = iter(made)
    return [list(islice(rest, len(row))) for row in asked]


def _again(
    make: Callable[[Principal, UUID, Mapping[str, Any]], dict[str, Any]],
    visitor: Visitor,
    image_id: UUID,
    asked: Mapping[str, Any],
) -> dict[str, Any]:
    return playground_form.validated(make(principal_for(visitor), image_id, asked))


def _shown(request: HttpRequest, visitor: Visitor, generation_id: UUID) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        card = runs.one(visitor, generation_id)
    return render(request, "console/playground/run.html", {"run": card})


def _refused(request: HttpRequest, problem: Problem) -> HttpResponse:
    """With its own status, into the place for problems: the script lets htmx show it there."""
    context = {"problem": problem, "words": problem_words.of(problem)}
    page = render(request, "console/playground/problem.html", context, status=problem.status)
    page["HX-Retarget"], page["HX-Reswap"] = "#playground-problem", "innerHTML"
    for name, value in problem.headers.items():
        page[name] = value
    return page


def _placeholder(data: Mapping[str, Any]) -> InputReference:
    """Stands for a picture that stays in the browser until it is used: for a price, only that there is one matters."""
    edge = data.get("width", 512)
    return InputReference(id=new_id(), sha256="", width=edge, height=data.get("height", edge))


urlpatterns = [
    path("console/playground", playground, name="playground"),
    path("console/playground/draw", draw, name="playground-draw"),
    path("console/playground/grid", draw_grid, name="playground-grid"),
    path("console/playground/quote", quote, name="playground-quote"),
    path("console/playground/code", code, name="playground-code"),
    path("console/playground/history", history, name="playground-history"),
    path("console/runs/<uuid:generation_id>", run, name="run"),
    path("console/runs/<uuid:generation_id>/place", place, name="run-place"),
    path("console/runs/<uuid:generation_id>/stream", stream, name="run-stream"),
    path("console/runs/<uuid:generation_id>/cancel", stop, name="run-cancel"),
    path("console/images/<uuid:image_id>/variations", vary, name="image-vary"),
    path("console/images/<uuid:image_id>/upscale", enlarge, name="image-enlarge"),
]
