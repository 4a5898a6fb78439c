"""Browsers of staff and of strangers: each tells of whatever went wrong in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from django.test import override_settings
from playwright.sync_api import Browser, BrowserContext, Page, Request

from easel.asgi import create
from tests.web.served import served


@dataclass
class Watched:
    """A person's browser on one of our ports. `troubles` are errors of scripts, refusals of the Content Security
    Policy, and requests that went to another host."""

    context: BrowserContext
    base: str
    troubles: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        page = self.context.new_page()
        page.on("console", lambda said: self.troubles.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", self._asked)
        page.goto(self.base + path)
        return page

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != urlsplit(self.base).netloc:
            self.troubles.append(f"{request.method} {request.url}")


@contextmanager
def visitor(chromium: Browser, base: str, **options: object) -> Iterator[Watched]:
    """A browser of somebody's own: no cookie but theirs. Fails at the end if there was trouble."""
    context = chromium.new_context(**options)  # type: ignore[arg-type]
    context.set_default_timeout(10_000)
    watched = Watched(context, base)
    try:
        yield watched
        assert watched.troubles == [], watched.troubles
    finally:
        context.close()


def serious(page: Page) -> list[str]:
    """What axe-core finds that keeps somebody out: the serious and the critical."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:160]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]


@contextmanager
def staff_port() -> Iterator[str]:
    """The staff's port: its own URL conf and the platform role, as its process has them."""
    with (
        override_settings(ROOT_URLCONF="easel.staff_urls", DATABASE_ALIAS="platform", PROCESS="staff"),
        served(create()) as port,
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def web_port() -> Iterator[str]:
    with served(create()) as port:
        yield f"http://127.0.0.1:{port}"
