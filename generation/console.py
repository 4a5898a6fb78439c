"""The console's first page: the newest pictures and the wallet; before there are any, the two ways to the first one."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from billing.models import Wallet
from generation import blurring, thumbnails
from generation.models import Generation, Image
from generation.prompts import shown_prompts
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

NEWEST: Final = 24


@console_page
def overview(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        wallet = Wallet.objects.get()
        generations = list(Generation.objects.filter(erased_at=None).select_related("model").order_by("-id")[:NEWEST])
        images = list(Image.objects.filter(generation__in=generations, rejected_at=None))
    images.sort(key=lambda image: (not _held(image), -image.index))  # the last one stays: the first released, or held
    first_images = {image.generation_id: image for image in images}
    cards = [_card(generation, first_images.get(generation.id), visitor) for generation in generations]
    return render(request, "console/overview.html", {"visitor": visitor, "wallet": wallet, "cards": cards})


def _card(generation: Generation, image: Image | None, visitor: Visitor) -> dict[str, object]:
    words = shown_prompts(
        generation.prompt_sealed,
        generation.negative_prompt_sealed,
        key=visitor.data_key,
        generation_id=generation.id,
    )
    return {"generation": generation, "prompt": words.prompt, "url": _address(image), "held": _held(image)}


def _held(image: Image | None) -> bool:
    return image is not None and image.released_at is None


def _address(image: Image | None) -> str:
    """What staff have still to look at is shown as colors alone."""
    if image is None:
        return ""
    return blurring.address(image, base_url="") if _held(image) else thumbnails.address(image.tenant_id, image.id)


urlpatterns = [path("console/", overview, name="console")]
