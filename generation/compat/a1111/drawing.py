"""`/txt2img`, `/img2img` and `/extra-single-image`."""

import json
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from generation.api import take
from generation.compat import files
from generation.compat.a1111 import asking, options, telling, upscaling
from generation.compat.a1111.asking import Wish
from generation.compat.holding import came_to_nothing, when_done
from generation.compat.views import WRITE, DialectView, sent
from generation.models import Generation, Image
from tenants.authentication import principal_of
from tenants.tokens import Principal


class TextToImage(DialectView):
    scopes: ClassVar = {"POST": WRITE}
    names = asking.NAMES

    def post(self, request: Request) -> Response:
        return _drawn(request, asking.txt2img(sent(request), options.of(principal_of(request))))


class ImageToImage(DialectView):
    scopes: ClassVar = {"POST": WRITE}
    names = asking.NAMES

    def post(self, request: Request) -> Response:
        return _drawn(request, asking.img2img(sent(request), options.of(principal_of(request))))


class ExtraSingleImage(DialectView):
    scopes: ClassVar = {"POST": WRITE}
    names = {"init_image": "image", "width": "upscaling_resize_w", "height": "upscaling_resize_h"}

    def post(self, request: Request) -> Response:
        asked = upscaling.read(sent(request), options.of(principal_of(request)))
        return when_done(request, take(request, asked, body=asked), _enlarged)


def _drawn(request: Request, wish: Wish) -> Response:
    principal = principal_of(request)
    if wish.lasting and wish.chosen:
        options.keep(principal, wish.chosen)
    taken = take(request, wish.asked, body=wish.asked)
    return when_done(request, taken, lambda *ended: _answer(*ended, wish=wish, principal=principal))


def _enlarged(generation: Generation, images: list[Image]) -> dict[str, Any]:
    _raise_for(generation)
    said = f"{generation.width}x{generation.height}, {generation.model.name}"
    return {"html_info": f"<p>{said}</p>", "image": files.encoded(images[0]) if images else ""}


def _answer(generation: Generation, images: list[Image], *, wish: Wish, principal: Principal) -> dict[str, Any]:
    """An interrupted job has the pictures that were finished, as theirs has."""
    _raise_for(generation)
    return {
        "images": [files.encoded(image) for image in images] if wish.send_images else [],
        "parameters": wish.sent,
        "info": json.dumps(telling.info(generation, images, principal)),
    }


def _raise_for(generation: Generation) -> None:
    problem = came_to_nothing(generation)
    if problem is not None and generation.status != Generation.Status.CANCELED:
        raise problem
