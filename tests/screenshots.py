"""`make screenshots`: every page of the console and of staff's side as people see it: on a desk and on a phone, light
and dark, in both languages. `ARGS="--only playground,keys"` makes some of them; `--full` takes whole pages.

It starts services of its own and draws with the starter model, so the pictures in it are real ones.
"""

import argparse
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.stack import set_up_django, start_stack, stop_stack

if TYPE_CHECKING:  # both need Django's settings
    from playwright.sync_api import Browser, BrowserContext

    from tests.showcase import Showcase

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
LANGUAGES = {"en": "en-US", "zh": "zh-CN"}
CHROMIUM = os.environ.get("EASEL_TEST_CHROMIUM", "/usr/bin/chromium")

Who = Literal["member", "stranger", "staff"]


@dataclass(frozen=True)
class Shot:
    name: str
    path: str
    who: Who = "member"
    press: str = ""  # a selector that is clicked first, where the page has it: what opens a dialog, say


@dataclass(frozen=True)
class Camera:
    out: Path
    browser: "Browser"
    full: bool
    sizes: tuple[str, ...]
    themes: tuple[str, ...]
    languages: tuple[str, ...]

    def take(self, shots: list[Shot], base_url: str, cookies: dict[Who, dict[str, str]]) -> None:
        for language in self.languages:
            for theme in self.themes:
                for who in dict.fromkeys(shot.who for shot in shots):
                    context = self.browser.new_context(
                        base_url=base_url,
                        locale=LANGUAGES[language],
                        color_scheme="dark" if theme == "dark" else "light",
                    )
                    context.add_cookies(
                        [{"name": name, "value": value, "url": base_url} for name, value in cookies[who].items()]
                    )
                    for shot in shots:
                        if shot.who == who:
                            self._take(shot, context, f"{theme}-{language}")
                    context.close()
                print(f"{language}, {theme}: {len(shots) * len(self.sizes)} pictures in {self.out}", flush=True)

    def _take(self, shot: Shot, context: "BrowserContext", kind: str) -> None:
        page = context.new_page()
        page.on("requestfailed", lambda request: print(f"{shot.name}: {request.url} {request.failure}", flush=True))
        page.on("response", lambda answer: print(f"{shot.name}: {answer.url} {answer.status}", flush=True)
                if answer.status >= 400 else None)  # fmt: skip
        for size in self.sizes:
            width, height = SIZES[size]
            page.set_viewport_size({"width": width, "height": height})
            page.goto(shot.path)
            page.wait_for_load_state("load")
            if shot.press and page.locator(shot.press).first.is_visible():
                page.locator(shot.press).first.click()
            page.wait_for_timeout(600)  # fragments that are fetched once the page is there
            save(page.screenshot(full_page=self.full), self.out / f"{shot.name}-{size}-{kind}.webp")
        page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "screenshots")
    parser.add_argument("--only", default="", help="names with commas between them")
    parser.add_argument("--full", action="store_true", help="whole pages, not what the screen shows of them")
    parser.add_argument("--size", choices=SIZES, action="append", default=[])
    parser.add_argument("--theme", choices=THEMES, action="append", default=[])
    parser.add_argument("--language", choices=LANGUAGES, action="append", default=[])
    options = parser.parse_args()
    stack = start_stack()
    try:
        set_up_django()
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright's loop is in this thread
        take_all(options)
    finally:
        stop_stack(stack)


def take_all(options: argparse.Namespace) -> None:
    from playwright.sync_api import sync_playwright

    from tests.browser.visitors import web_port
    from tests.showcase import set_out

    only = {name for name in options.only.split(",") if name}
    show = set_out()
    shots = [shot for shot in every_shot(show) if not only or shot.name in only]
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        camera = Camera(
            options.out, playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]), options.full,
            tuple(options.size or SIZES), tuple(options.theme or THEMES), tuple(options.language or LANGUAGES),
        )  # fmt: skip
        web, staff = ([shot for shot in shots if (shot.who == "staff") == staffs] for staffs in (False, True))
        if web:
            with web_port() as base_url:
                camera.take(web, base_url, {"member": {"easel_console": show.cookie}, "stranger": {}})
        if staff:
            with staff_doors() as (base_url, cookies):
                camera.take(staff, base_url, {"staff": cookies})
        camera.browser.close()


def every_shot(show: "Showcase") -> list[Shot]:
    return [
        *from_navigation(),
        Shot("usage-by-model", "/console/usage?by=model&days=90"),
        Shot("gallery-nothing", "/console/gallery?q=nothing+like+that"),
        Shot("details", f"/console/gallery/{show.details}"),
        Shot("details-held", f"/console/gallery/{show.held}"),
        Shot("webhook", f"/console/webhooks/{show.endpoint}"),
        Shot("new-key", "/console/keys", press='[data-dialog-open="new-key"]'),
        Shot("code", "/console/playground", press='[data-dialog-open="code-dialog"]'),
        Shot("grid", "/console/playground", press='[data-dialog-open="grid-dialog"]'),
        Shot("palette", "/console/", press="[data-palette-open]"),
        Shot("drawer", "/console/", press="[data-drawer-open]"),
        Shot("account-menu", "/console/", press=".side-foot summary"),
        Shot("account", "/console/account/email"),
        Shot("second-factor", "/console/account/second-factor"),
        Shot("sessions", "/console/account/sessions"),
        Shot("workspaces", "/console/workspaces"),
        Shot("welcome", "/console/welcome"),
        Shot("sign-in", "/console/sign-in", who="stranger"),
        Shot("sign-up", "/console/sign-up", who="stranger"),
        Shot("password-reset", "/console/account/password/reset", who="stranger"),
        Shot("not-found", "/console/nothing-here", who="stranger"),
        Shot("shared", show.shared, who="stranger"),
        Shot("staff-status", "/status/", who="staff"),
        Shot("staff-trends", "/admin/generation/model/trends/", who="staff"),
        Shot("staff-admin", "/admin/", who="staff"),
        Shot("staff-models", "/admin/generation/model/", who="staff"),
        Shot("staff-generations", "/admin/generation/generation/", who="staff"),
        Shot("staff-filters", "/admin/generation/generation/", who="staff", press=".staff-filter"),
        Shot("staff-queue", "/admin/generation/flow/", who="staff"),
        Shot("staff-wallets", "/admin/billing/wallet/", who="staff", press="td input.action-select"),
        Shot("staff-side", "/status/", who="staff", press=".staff-square.staff-narrow"),
        Shot("staff-person", "/admin/", who="staff", press=".staff-person summary"),
        Shot("staff-plan", "/admin/billing/planversion/add/", who="staff"),
        Shot("staff-model", f"/admin/generation/model/{show.model}/change/", who="staff"),
        Shot("staff-audit", "/admin/tenants/auditrecord/", who="staff"),
        Shot("staff-nothing", "/admin/billing/alert/?q=nothing+like+that", who="staff"),
        Shot("staff-tenant", f"/admin/tenants/tenant/{show.customer.id}/change/", who="staff"),
        Shot("moderation-queue", "/moderation/", who="staff"),
        Shot("moderation-statistics", "/moderation/statistics", who="staff"),
        Shot("moderation-rules", "/moderation/rules", who="staff"),
        Shot("moderation-policy", "/moderation/policy", who="staff"),
    ]


def from_navigation() -> list[Shot]:
    from tenants import navigation, permissions

    entries = navigation.entries_for(frozenset(permissions.PERMISSIONS))
    return [
        Shot("home" if entry.route == "console" else entry.url.rstrip("/").rpartition("/")[2], entry.url)
        for entry in entries
        if entry.url.startswith("/console/") and not entry.only_palette
    ]


@contextmanager
def staff_doors() -> Iterator[tuple[str, dict[str, str]]]:
    """The staff's port, and the cookies of somebody who has passed both of its doors."""
    from easel.database import platform_role
    from tests.browser.visitors import staff_port
    from tests.staff import let_in, staff_person

    with staff_port() as base_url:
        with platform_role():
            cookies = let_in(staff_person()).cookies
        yield base_url, {name: morsel.value for name, morsel in cookies.items()}


def save(png: bytes, path: Path) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(path, "WEBP", quality=82, method=4)


if __name__ == "__main__":
    main()
