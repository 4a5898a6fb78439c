"""The documents build into a site that has every page and asks no other host for anything."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FETCHED = re.compile(r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']([^\"']+)|<link[^>]*\shref=[\"']([^\"']+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(target)]
    ran = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return target


def pages(entry: object) -> Iterator[str]:
    """The documents of the navigation."""
    match entry:
        case str():
            yield entry
        case list():
            for each in entry:
                yield from pages(each)
        case dict():
            for each in entry.values():
                yield from pages(each)


def test_every_document_has_a_page(site: Path) -> None:
    documents = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    assert len(documents) > 10
    for document in documents:
        page = document.with_name("index.html") if document.stem == "README" else document.with_suffix(".html")
        assert (site / page).exists(), document


def test_every_document_but_single_decisions_is_in_the_navigation() -> None:
    listed = set(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    written = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert {path for path in written if not re.match(r"adr/\d", path)} == listed


def test_no_page_fetches_anything_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        for found in FETCHED.findall(page.read_text(encoding="utf-8")):
            address = next(filter(None, found))
            if 'rel="canonical"' not in address:
                assert not re.match(r"(https?:)?//", address), f"{page.name}: {address}"
