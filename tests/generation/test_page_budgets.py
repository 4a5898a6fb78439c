"""What a page of the console may cost: ten statements, and 100 kB over the wire with all that it loads but pictures."""

import gzip
import math
import re
from functools import cache
from pathlib import Path

import pytest

from tenants import navigation, permissions
from tests.cast import Customer
from tests.counting import queries
from tests.generation.conftest import make_workshop
from tests.tenants.people import person, signed_in

ROOT = Path(__file__).resolve().parents[2]
STATEMENTS = 10
KILOBYTES = 100
LOADED = re.compile(r'(?:href|src)="(/static/[^"#?]+\.(?:css|js|svg))')
IMPORTED = re.compile(r'^(?:import|export)\b[^;"]*"(\.{1,2}/[^"]+)"', re.MULTILINE)


def pages() -> list[str]:
    found = [entry.route for entry in navigation.entries_for(frozenset(permissions.PERMISSIONS))]
    return [route for route in found if route not in {"docs", "account_email", "welcome", "workspaces"}]


@pytest.mark.parametrize("route", pages())
def test_a_page_is_cheap_to_make_and_light_to_load(ada: Customer, route: str) -> None:
    entry = next(each for each in navigation.entries_for(frozenset(permissions.PERMISSIONS)) if each.route == route)
    workshop = make_workshop("nowhere")
    for _ in range(4):
        workshop.submit(ada)
    browser = signed_in(person(ada.tenant))
    browser.get(entry.url)  # what is remembered for a few seconds
    with queries() as statements:
        page = browser.get(entry.url)
    assert page.status_code == 200
    assert len(statements) <= STATEMENTS, statements
    assert weight(page.content.decode()) <= KILOBYTES


def weight(html: str) -> int:
    """In kB, a begun one counted whole: the page, compressed, with its styles and scripts."""
    return math.ceil((len(gzip.compress(html.encode())) + sum(_zipped(path) for path in _files(html))) / 1024)


def _files(html: str) -> set[Path]:
    """The page's own files and what its modules import. Those of packages are found by Django."""
    from django.contrib.staticfiles import finders

    wanted = [Path(str(finders.find(name.removeprefix("/static/")))) for name in set(LOADED.findall(html))]
    found: set[Path] = set()
    while wanted:
        path = wanted.pop().resolve()
        if path in found:
            continue
        found.add(path)
        if path.suffix == ".js":
            wanted += [path.parent / name for name in IMPORTED.findall(path.read_text(encoding="utf-8"))]
    return found


@cache
def _zipped(path: Path) -> int:
    return len(gzip.compress(path.read_bytes()))
