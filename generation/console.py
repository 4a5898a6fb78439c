"""The console's first page: the newest pictures and the wallet; before there are any, the two ways to the first one."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from billing.models import Wallet
from generation.models import Generation, Image
from generation.prompts import shown_prompts
from generation.thumbnails import address
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

NEWEST: Final = 24


@console_page
def overview(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        wallet = Wallet.objects.get()
        generations = list(Generation.objects.filter(erased_at=None).select_related("model").order_by("-id")[:NEWEST])
        released = Image.objects.filter(
            generation_id__in=[generation.id for generation in generations], index=0, released_at__isnull=False
        )
        first_images = {image.generation_id: image for image in released}
    cards = [_card(generation, first_images.get(generation.id), visitor) for generation in generations]
    return render(request, "console/overview.html", {"visitor": visitor, "wallet": wallet, "cards": cards})


def _card(generation: Generation, image: Image | None, visitor: Visitor) -> dict[str, object]:
    words = shown_prompts(
        generation.prompt_sealed,
        generation.negative_prompt_sealed,
        key=visitor.data_key,
        generation_id=generation.id,
    )
    url = address(image.tenant_id, image.id) if image else ""
    return {"generation": generation, "prompt": words.prompt, "url": url}


urlpatterns = [path("console/", overview, name="console")]
