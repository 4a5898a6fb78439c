"""The console's gallery: a page of pictures with its filters, what is done to many at once, and the details of one."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from easel.fields import lines
from easel.pages import cursor_text
from easel.problems import Problem
from generation import appeals_api, archive, details, erasure, gallery, share_pages, tags
from generation.gallery import Wanted
from generation.models import Generation
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

MOST_CHOSEN: Final = archive.MOST

STATUS_CHOICES: Final = (
    (gallery.PICTURES, gettext_lazy("With pictures")),
    (Generation.Status.IN_REVIEW.value, gettext_lazy("In review")),
    (gallery.APPEALED, gettext_lazy("Appealed")),
    (Generation.Status.COMPLETED.value, gettext_lazy("Completed")),
    (Generation.Status.REJECTED.value, gettext_lazy("Rejected")),
    (Generation.Status.FAILED.value, gettext_lazy("Failed")),
    (Generation.Status.CANCELED.value, gettext_lazy("Canceled")),
    (Generation.Status.RUNNING.value, gettext_lazy("Running")),
    (Generation.Status.QUEUED.value, gettext_lazy("Waiting")),
    (gallery.ALL, gettext_lazy("Everything")),
)


def of_chosen(act: Callable[[HttpRequest, Visitor, list[UUID]], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Gives the view what was chosen. More than one may do at a time is refused, and never cut off in silence."""

    @wraps(act)
    def view(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
        named = request.POST.getlist("id")
        if len(named) > MOST_CHOSEN:
            messages.error(request, _("At most %(most)d pictures at a time: nothing was done.") % {"most": MOST_CHOSEN})
            return _back(request)
        return act(request, visitor, _ids(named))

    return view


@console_page
def gallery_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """The whole page; for htmx, which asks for more of it, only the next cards."""
    wanted = Wanted.read(request.GET)
    partial = request.headers.get("HX-Request") == "true" and wanted.before is not None
    shown = gallery.page(visitor.tenant_id, wanted, key=visitor.data_key, options=not partial)
    context = {
        "visitor": visitor,
        "gallery": shown,
        "wanted": wanted,
        "statuses": STATUS_CHOICES,
        "next": _next(request.GET, shown.before),
        "here": request.get_full_path(),
        "most": MOST_CHOSEN,
    }
    return render(request, f"console/gallery/{'cards' if partial else 'page'}.html", context)


@console_page({"POST": "pictures.make"})
@of_chosen
def delete_chosen(request: HttpRequest, visitor: Visitor, chosen: list[UUID]) -> HttpResponse:
    """Erase words and pictures of what was chosen. Whatever is somebody else's is not there."""
    count = sum(erasure.erase(visitor.tenant_id, each) for each in chosen)
    said = ngettext("%(n)d picture was deleted.", "%(n)d pictures were deleted.", count)
    messages.success(request, said % {"n": count})
    return _back(request)


@console_page({"POST": "pictures.make"})
@of_chosen
def tag_chosen(request: HttpRequest, visitor: Visitor, chosen: list[UUID]) -> HttpResponse:
    """Put a tag on what was chosen, or take it off."""
    try:
        name = tags.tidy(request.POST.get("tag", ""))
    except tags.BadTag:
        messages.error(request, _("A tag has 1 to %(most)d visible characters.") % {"most": tags.LONGEST})
        return _back(request)
    act = tags.remove if request.POST.get("off") == "1" else tags.add
    with tenant_scope(visitor.tenant_id):
        count = act(visitor.tenant_id, chosen, name)
    said = ngettext("“%(tag)s” was changed on %(n)d picture.", "“%(tag)s” was changed on %(n)d pictures.", count)
    messages.success(request, said % {"tag": name, "n": count})
    return _back(request)


@console_page({"POST": "console.view"})
@of_chosen
def download_chosen(request: HttpRequest, visitor: Visitor, chosen: list[UUID]) -> HttpResponseBase:
    """The chosen pictures as one ZIP file."""
    found = archive.members(visitor.tenant_id, chosen, key=visitor.data_key)
    if not found:
        messages.error(request, _("None of the chosen has a picture to download."))
        return _back(request)
    answer = StreamingHttpResponse(archive.Archive(found, visitor.data_key), content_type="application/zip")
    answer["Content-Disposition"] = 'attachment; filename="easel-pictures.zip"'
    answer["Cache-Control"] = "no-store"
    answer["X-Accel-Buffering"] = "no"  # a proxy in front need not hold it either
    answer.place_of = visitor.tenant_id  # type: ignore[attr-defined]  # what easel.bridge looks for
    return answer


@console_page
def detail_page(request: HttpRequest, visitor: Visitor, generation_id: UUID) -> HttpResponse:
    base_url = share_pages.base_url(request)
    shown = details.of(visitor.tenant_id, generation_id, key=visitor.data_key, base_url=base_url)
    if shown is None:
        raise Http404
    context = {"visitor": visitor, "share_spans": share_pages.SPANS, "written": request.GET.get("tags"), **shown}
    return render(request, "console/gallery/detail.html", context)


@console_page({"POST": "pictures.make"})
def set_tags(request: HttpRequest, visitor: Visitor, generation_id: UUID) -> HttpResponse:
    """The tags of one generation, written with commas between them. What is refused is there to be mended."""
    written = request.POST.get("tags", "")
    back = reverse("gallery-detail", args=[generation_id])
    wrong, names = "", []
    try:
        names = sorted({tags.tidy(each) for each in tags.listed(written)})
    except tags.BadTag:
        wrong = _("A tag has 1 to %(most)d visible characters.") % {"most": tags.LONGEST}
    if len(names) > tags.MOST:
        wrong = _("A picture has at most %(most)d tags.") % {"most": tags.MOST}
    if wrong:
        messages.error(request, wrong)
        return redirect(f"{back}?{urlencode({'tags': written})}")
    with tenant_scope(visitor.tenant_id):
        tags.replace(visitor.tenant_id, generation_id, names)
    messages.success(request, _("Saved."))
    return redirect(back)


@console_page({"POST": "pictures.make"})
def appeal(request: HttpRequest, visitor: Visitor, generation_id: UUID) -> HttpResponse:
    """Ask a person about what moderation refused: once for each generation."""
    text = lines(request.POST.get("text", "")).strip()[: appeals_api.LONGEST]
    with tenant_scope(visitor.tenant_id):
        generation = appeals_api.found(generation_id)
        if not text:
            messages.error(request, _("Say why it should be let through."))
            return redirect("gallery-detail", generation_id=generation_id)
        try:
            appeals_api.appeal(generation, text, data_key=visitor.data_key)
        except Problem as problem:
            messages.error(request, _(problem.detail))
        else:
            messages.success(request, _("Staff look at it. You hear by webhook how it ends."))
    return redirect("gallery-detail", generation_id=generation_id)


def _ids(named: list[str]) -> list[UUID]:
    """What is no id names nothing."""
    found = []
    for text in named:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


def _back(request: HttpRequest) -> HttpResponse:
    """To the page the form was on: an address of our own, or the gallery."""
    wanted = request.POST.get("back", "")
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) and wanted.startswith(reverse("gallery"))
    return redirect(wanted if safe else "gallery")


def _next(query: QueryDict, before: UUID | None) -> str:
    if before is None:
        return ""
    asked: dict[str, Any] = {name: value for name, value in query.items() if name != "cursor" and value}
    return f"?{urlencode({**asked, 'cursor': cursor_text(before)})}"


urlpatterns = [
    path("console/gallery", gallery_page, name="gallery"),
    path("console/gallery/delete", delete_chosen, name="gallery-delete"),
    path("console/gallery/tag", tag_chosen, name="gallery-tag"),
    path("console/gallery/download", download_chosen, name="gallery-download"),
    path("console/gallery/<uuid:generation_id>", detail_page, name="gallery-detail"),
    path("console/gallery/<uuid:generation_id>/appeal", appeal, name="gallery-appeal"),
    path("console/gallery/<uuid:generation_id>/tags", set_tags, name="gallery-tags"),
]
