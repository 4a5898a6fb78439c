"""`make screenshots`: every page of the console as people see it: on a desk and on a phone, light and dark, in both
languages. `ARGS="--only playground,keys"` makes some of them.

It starts services of its own and draws with the starter model, so the pictures in it are real ones.
"""

import argparse
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tests.stack import set_up_django, start_stack, stop_stack

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
LANGUAGES = {"en": "en-US", "zh": "zh-CN"}
PROMPTS = ("a red apple, 3d render", "a cute cat face, cartoon", "a house, flat illustration", "an owl, 3d render")
CHROMIUM = os.environ.get("EASEL_TEST_CHROMIUM", "/usr/bin/chromium")


@dataclass(frozen=True)
class Shot:
    name: str
    path: str
    door: bool = False  # as somebody who is not signed in


SHOTS = (
    Shot("sign-in", "/console/sign-in", door=True),
    Shot("sign-up", "/console/sign-up", door=True),
    Shot("not-found", "/console/nothing-here", door=True),
    Shot("account", "/console/account/email"),
    Shot("workspaces", "/console/workspaces"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "screenshots")
    parser.add_argument("--only", default="", help="names with commas between them")
    options = parser.parse_args()
    stack = start_stack()
    try:
        set_up_django()
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright's loop is in this thread
        take_all(options.out, {name for name in options.only.split(",") if name})
    finally:
        stop_stack(stack)


def take_all(out: Path, only: set[str]) -> None:
    from playwright.sync_api import sync_playwright

    from tests.web.live import easel_served

    cookie = prepared()
    shots = [shot for shot in (*from_navigation(), *SHOTS) if not only or shot.name in only]
    out.mkdir(parents=True, exist_ok=True)
    with easel_served() as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for language, locale in LANGUAGES.items():
            for theme in THEMES:
                context: dict[str, Any] = {"base_url": f"http://127.0.0.1:{port}", "locale": locale}
                stranger = browser.new_context(color_scheme=theme, **context)
                member = browser.new_context(color_scheme=theme, **context)
                member.add_cookies([{"name": "easel_console", "value": cookie, "url": context["base_url"]}])
                for shot in shots:
                    page = (stranger if shot.door else member).new_page()
                    for size, (width, height) in SIZES.items():
                        page.set_viewport_size({"width": width, "height": height})
                        page.goto(shot.path)
                        page.wait_for_load_state("load")
                        page.wait_for_timeout(600)  # fragments that are fetched once the page is there
                        save(page.screenshot(), out / f"{shot.name}-{size}-{theme}-{language}.webp")
                    page.close()
                print(f"{language}, {theme}: {len(shots) * len(SIZES)} pictures in {out}", flush=True)
        browser.close()


def from_navigation() -> list[Shot]:
    from tenants import navigation, permissions

    entries = navigation.entries_for(frozenset(permissions.PERMISSIONS))
    return [
        Shot("home" if entry.route == "console" else entry.url.rstrip("/").rpartition("/")[2], entry.url)
        for entry in entries
        if entry.url.startswith("/console/") and not entry.only_palette
    ]


def prepared() -> str:
    """A workspace with a few pictures of the starter model; the cookie of its owner's session."""
    from django.core.management import call_command

    from easel.database import platform_role
    from tests.browser.easel import cookie_of
    from tests.cast import make_customer
    from tests.tenants.people import person, signed_in

    call_command("models_sync", verbosity=0)
    with platform_role():
        customer = make_customer("Ada Pictures")
    with painting():
        made = [
            customer.client().post("/v1/generations", {"prompt": prompt, "n": 2, "seed": 7}, format="json").json()["id"]
            for prompt in PROMPTS
        ]
        while any(unfinished(customer, each) for each in made):
            time.sleep(0.2)
    user = person(customer.tenant)
    person(customer.tenant, "developer")
    person(customer.tenant, "viewer")
    return cookie_of(signed_in(user))


def unfinished(customer: Any, generation_id: str) -> bool:
    status: str = customer.client().get(f"/v1/generations/status/{generation_id}").json()["status"]
    return status in {"queued", "running"}


@contextmanager
def painting() -> Iterator[None]:
    from generation.engine.loop import LoopEngine
    from tests.generation.conftest import make_production

    production, done = make_production(LoopEngine(device="cpu", threads=1)), Event()

    def run() -> None:
        while not done.wait(0.1):
            production.drain("default")

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        production.close()


def save(png: bytes, path: Path) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(path, "WEBP", quality=82, method=6)


if __name__ == "__main__":
    main()
