"""What a run's "Use these settings" and a link carry: all that draws the same again, given pictures by their ids."""

import html
import io
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client
from PIL import Image

from easel.database import platform_role
from generation.models import Generation
from tests.cast import Customer
from tests.generation.conftest import Workshop, make_workshop
from tests.tenants.people import let_in, person

NUMBERS = {"steps": 40, "cfg_scale": 7.25, "strength": 0.33, "clip_skip": 2}


@pytest.fixture
def shop() -> Workshop:
    return make_workshop("nowhere")


def given(customer: Customer, color: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(file, "png")
    answer = customer.client().generic("POST", "/v1/inputs", file.getvalue(), content_type="image/png")
    return str(answer.json()["id"])


def started(customer: Customer, shop: Workshop) -> Any:
    """What the API says of a generation that starts from a picture and a mask."""
    pictures = {"init_image": given(customer, "teal"), "mask": given(customer, "white")}
    asked = shop.body(**pictures, **NUMBERS)
    answer = customer.client().post("/v1/generations", asked, format="json")
    assert answer.status_code == 202, answer.content
    return answer.json()


def link_of(browser: Client, generation_id: str) -> str:
    page = browser.get(f"/console/runs/{generation_id}").content.decode()
    (link,) = set(re.findall(r'href="(/console/playground[?][^"]+)"', page))
    return html.unescape(link)


def test_a_runs_settings_draw_the_same(ada: Customer, shop: Workshop, browser: Client) -> None:
    before = started(ada, shop)
    said = dict(parse_qsl(urlsplit(link_of(browser, before["id"])).query))
    assert browser.post("/console/playground/draw", said).status_code == 200
    with platform_role():
        first, second = Generation.objects.filter(tenant_id=ada.id).order_by("id")
    same = (*NUMBERS, "init_image_id", "mask_id", "seed", "width", "height", "sampler", "model_id")
    assert {name: getattr(second, name) for name in same} == {name: getattr(first, name) for name in same}


def test_the_given_picture_is_shown_again(ada: Customer, bob: Customer, shop: Workshop, browser: Client) -> None:
    before = started(ada, shop)
    page = browser.get(link_of(browser, before["id"])).content.decode()
    for name in ("init_image", "mask"):
        assert re.search(rf'name="{name}" [^>]*value="{before[name]}"', page)
    (source,) = re.findall(r'id="start-image" src="([^"]+)"', page)
    answer = browser.get(source)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.content)).size == (64, 64)
    stranger = let_in(person(bob.tenant, "developer"))
    assert stranger.get(source).status_code == 404
    assert (
        'id="start-image" alt'
        in stranger.get(f"/console/playground?init_image={before['init_image']}").content.decode()
    )


def test_a_prompt_of_several_lines_is_what_a_program_would_send(ada: Customer, shop: Workshop, browser: Client) -> None:
    """As a browser sends it: each end of a line is two characters."""
    words = {"prompt": "a red apple\r\non a table", "model": shop.model.name}
    run = browser.post("/console/playground/draw", words).content.decode()
    (made,) = set(re.findall(r'data-run="([0-9a-f-]+)"', run))
    assert dict(parse_qsl(urlsplit(link_of(browser, made)).query))["prompt"] == "a red apple\non a table"
    code = html.unescape(browser.post("/console/playground/code", words).content.decode())
    assert code.count(r"a red apple\non a table") == 3
    longest = {**words, "prompt": "a\r\n" * 2000}  # 4,000 as the field counts them
    assert "error-text" not in browser.post("/console/playground/quote", longest).content.decode()


def test_no_sign_of_a_prompt_breaks_a_line_of_the_code(browser: Client) -> None:
    code = html.unescape(browser.post("/console/playground/code", {"prompt": "left\u2028right"}).content.decode())
    assert code.count("left\u2028right") == 3
