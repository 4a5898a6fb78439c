"""Every page of the console on a tenant with a hundred thousand generations: few statements, few bytes, soon."""

import gzip
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse

from easel.database import platform_role
from generation.models import Generation
from tenants.models import WebhookDelivery
from tests.cast import Customer, make_customer
from tests.counting import queries
from tests.generation.conftest import make_workshop
from tests.generation.crowd import crowd, sum_up
from tests.tenants.people import let_in, person

QUERIES = 10
BYTES = 100_000  # gzip, with all styles and scripts, without pictures
SECONDS = 3.0  # far more than it takes (some 50 ms), and far less than reading all rows by a bad plan does
LINKED = re.compile(r'(?:href|src)="/static/([^"]+\.(?:css|js|svg))"')


IMPORTED = re.compile(r'^import\b[^;"]*"(\.{1,2}/[^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Crowd:
    customer: Customer
    browser: Client
    paths: dict[str, str]


@pytest.fixture(scope="module")
def many() -> Iterator[Crowd]:
    customer, shop = make_customer("Crowd"), make_workshop("nowhere")
    crowd(customer, shop.model)
    sum_up()
    client = customer.client()
    endpoint = {"url": "https://93.184.215.14/hook", "events": ["balance.low"]}
    hook = client.post("/v1/webhooks", endpoint, format="json").json()["id"]
    client.post(f"/v1/webhooks/{hook}/test", format="json")
    with platform_role():
        found = Generation.objects.filter(tenant=customer.tenant)
        newest, middle = found.latest("id"), found.order_by("-id")[50_000]
    gallery = reverse("gallery")
    yield Crowd(customer, let_in(person(customer.tenant)), {
        "home": "/console/",
        "playground": reverse("playground"),
        "first steps": reverse("first-steps"),
        "gallery": gallery,
        "gallery in the middle": f"{gallery}?cursor={cursor(middle)}",
        "gallery by model": f"{gallery}?model={shop.model.name}",
        "gallery by status": f"{gallery}?status=failed",
        "gallery in review": f"{gallery}?status=in_review",
        "gallery by tag": f"{gallery}?tag=tag+0",
        "gallery by day": f"{gallery}?until={middle.created_at:%Y-%m-%d}",
        "gallery by words": f"{gallery}?q=apple",
        "details": reverse("gallery-detail", kwargs={"generation_id": newest.id}),
        "live": reverse("live"),
        "usage": reverse("usage-page"),
        "usage by key": reverse("usage-page") + "?by=key&days=90",
        "usage by model": reverse("usage-page") + "?by=model",
        "plan": reverse("plan"),
        "limits": reverse("limits"),
        "prices": reverse("prices"),
        "data policy": reverse("data-policy-page"),
        "webhooks": reverse("webhooks-page"),
        "webhook": reverse("webhook-page", kwargs={"endpoint_id": hook}),
        "keys": reverse("keys-page"),
        "members": reverse("members"),
        "models": reverse("models-page"),
        "settings": reverse("workspace-settings"),
        "audit": reverse("audit-page"),
    })  # fmt: skip
    with platform_role():
        WebhookDelivery.objects.filter(tenant=customer.tenant).delete()


def cursor(row: Generation) -> str:
    from easel.pages import cursor_text

    return cursor_text(row.id)


PAGES = (
    "home", "playground", "first steps", "gallery", "gallery in the middle", "gallery by model", "gallery by status",
    "gallery in review",
    "gallery by tag", "gallery by day", "gallery by words", "details", "live", "usage", "usage by key",
    "usage by model", "plan", "limits", "prices", "data policy", "webhooks", "webhook", "keys", "members", "models",
    "settings", "audit",
)  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_a_page_takes_few_statements_and_few_bytes(many: Crowd, name: str) -> None:
    many.browser.get(many.paths[name])
    began = time.perf_counter()
    with queries() as statements:
        answer = many.browser.get(many.paths[name])
    took = time.perf_counter() - began
    assert answer.status_code == 200, answer.content
    assert len(statements) <= QUERIES, statements
    assert size(answer.content) <= BYTES
    assert took < SECONDS, f"{took:.2f} s"


def test_every_page_is_among_them(many: Crowd) -> None:
    """A new page of the navigation needs a row here."""
    from tenants.navigation import entries_for
    from tenants.permissions import PERMISSIONS

    listed = {entry.url for entry in entries_for(frozenset(PERMISSIONS)) if not entry.only_palette}
    elsewhere = {reverse("docs")}
    assert listed - {path.partition("?")[0] for path in many.paths.values()} <= elsewhere


def test_the_gallery_comes_page_by_page_each_picture_once(many: Crowd) -> None:
    path, seen = reverse("gallery") + "?status=in_review", []
    while path:
        answer = many.browser.get(path, headers={"HX-Request": "true"} if "cursor" in path else {})
        text = answer.content.decode()
        seen += re.findall(r'name="id" value="([0-9a-f-]{36})"', text)
        following = re.search(r'rel="next" hx-get="([^"]+)"', text)
        path = reverse("gallery") + following[1].replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 100  # one in a thousand
    assert seen == sorted(seen, reverse=True)


def size(page: bytes) -> int:
    """The page and everything that it links to and its modules import, each compressed by itself."""
    files = sorted(set(LINKED.findall(page.decode())))
    found = [finders.find(name) for name in files]
    assert all(found), dict(zip(files, found, strict=True))
    contents = [open(path, "rb").read() for path in found if path]  # noqa: SIM115
    return sum(len(gzip.compress(each)) for each in [page, *contents])
