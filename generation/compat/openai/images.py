"""`/images/generations` and `/images/edits`."""

import time
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from generation.api import base_url, take
from generation.compat import files
from generation.compat.holding import came_to_nothing, when_done
from generation.compat.openai import asking, forms, streaming
from generation.compat.openai.asking import Wish
from generation.compat.views import WRITE, DialectView, sent
from generation.media import address
from generation.models import Generation, Image

NAMES = {"width": "size", "height": "size", "format": "output_format", "init_image": "image"}


class Generations(DialectView):
    scopes: ClassVar = {"POST": WRITE}
    names = NAMES

    def post(self, request: Request) -> Response:
        return _drawn(request, asking.read(sent(request), call="image_generation"))


class Edits(DialectView):
    scopes: ClassVar = {"POST": WRITE}
    names = NAMES
    parser_classes = [forms.EditParser, *DialectView.parser_classes]

    def post(self, request: Request) -> Response:
        body = sent(request)
        given = forms.pictures(body)
        return _drawn(request, asking.read(body, call="image_edit", given=given))


def _drawn(request: Request, wish: Wish) -> Response:
    taken = take(request, wish.asked, body=wish.asked)
    root = base_url(request)

    def whole(generation: Generation, images: list[Image]) -> dict[str, Any]:
        return answer(generation, images, wish, base_url=root)

    if wish.stream:
        return streaming.stream(request, taken, wish, whole)
    return when_done(request, taken, whole)


def answer(generation: Generation, images: list[Image], wish: Wish, *, base_url: str) -> dict[str, Any]:
    """The pictures, or the Problem that there are none."""
    problem = came_to_nothing(generation)
    if problem is not None:
        raise problem
    data = [_picture(image, wish, base_url=base_url) for image in images]
    return {
        "created": int(time.time()),
        "id": str(generation.id),
        "background": "opaque",
        "output_format": generation.format,
        "size": f"{generation.width}x{generation.height}",
        "data": data,
        "usage": usage(generation.credits),
    }


def usage(credits_: int | None) -> dict[str, Any]:
    """Credits, where OpenAI counts tokens: that is what this cost."""
    spent = credits_ or 0
    return {
        "input_tokens": 0,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "output_tokens": spent,
        "total_tokens": spent,
    }


def _picture(image: Image, wish: Wish, *, base_url: str) -> dict[str, str]:
    made = {}
    if "b64_json" in wish.shown:
        made["b64_json"] = files.encoded(image)
    if "url" in wish.shown:
        made["url"] = address(image, base_url=base_url)
    return made
