"""A real browser against a real Easel. Whatever a page writes to the console as an error, whatever the content policy
stops and whatever asks another host fails the test it happened in."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from tests import tiny
from tests.browser.easel import Easel, easel_at_work

CHROMIUM = os.environ.get("EASEL_TEST_CHROMIUM", "/usr/bin/chromium")
PATIENCE = 15_000  # milliseconds for anything to appear
expect.set_options(timeout=PATIENCE)

# Playwright's loop runs in the thread of the test; the test's own queries are not made inside of it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`content policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


@pytest.fixture(scope="package")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Easel]:
    with easel_at_work(tiny.build(tmp_path_factory.mktemp("browser"))) as easel:
        yield easel


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watch:
    """What went wrong in any page of a context. `allowed` are parts of messages that a test brings about itself."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self._url = url
        self.wrong: list[str] = []
        self.allowed: list[str] = []
        context.on("console", lambda message: self.note(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: self.note(str(error.error)))
        context.on("request", self._request)

    def note(self, text: str) -> None:
        self.wrong.append(text)

    def check(self) -> None:
        assert [each for each in self.wrong if not any(part in each for part in self.allowed)] == []

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._url, "data:", "blob:", "about:")):
            self.note(f"asked another host: {request.url}")


Opens = Callable[..., Page]


@pytest.fixture
def open_page(easel: Easel, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Opens]:
    """`open_page(cookie, **options)`: a page of a browser of its own, signed in if a session's cookie is given. Each is
    checked at the end. `page.watch` is its Watch."""
    opened: list[tuple[BrowserContext, Watch]] = []

    def opens(cookie: str = "", **options: object) -> Page:
        context = chromium.new_context(base_url=easel.url, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        context.add_init_script(VIOLATIONS)
        if cookie:
            context.add_cookies([{"name": "easel_console", "value": cookie, "url": easel.url}])
        watch = Watch(context, easel.url)
        opened.append((context, watch))
        page = context.new_page()
        page.watch = watch  # type: ignore[attr-defined]
        return page

    yield opens
    for context, _watch in opened:
        _keep_picture(context, request)
        context.close()
    for _context, watch in opened:
        watch.check()


def _keep_picture(context: BrowserContext, request: pytest.FixtureRequest) -> None:
    """Of a test that fails, into the folder that EASEL_TEST_PICTURES names."""
    folder = os.environ.get("EASEL_TEST_PICTURES")
    if folder and context.pages:
        Path(folder).mkdir(parents=True, exist_ok=True)
        context.pages[-1].screenshot(path=Path(folder) / f"{request.node.name}.png")
