"""Staff's tables in a real browser: unfold's scripts work under our content policy, in both themes, on a phone."""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.test import override_settings
from playwright.sync_api import Browser, Page, expect

from billing.models import Wallet
from easel.database import platform_role
from generation.models import Model
from tenants.models import AuditRecord
from tests.browser.conftest import VIOLATIONS
from tests.browser.test_by_keyboard import walked
from tests.browser.test_every_page import TO_LOOK_FOR, findings, too_wide
from tests.browser.visitors import Watched, staff_port, visitor
from tests.cast import Customer
from tests.generation.conftest import make_workshop
from tests.staff import let_in, staff_person


@pytest.fixture(scope="module")
def staff_base() -> Iterator[str]:
    with staff_port() as base:
        yield base


@pytest.fixture
def chest(ada: Customer) -> Model:
    """Something in every table that matters: a model, a job that waits, its tenant with a wallet."""
    shop = make_workshop("nowhere")
    with override_settings(ROOT_URLCONF="easel.urls", DATABASE_ALIAS="default", PROCESS="web"):
        for _ in range(3):
            shop.submit(ada)
    return shop.model


@pytest.fixture
def desk(chromium: Browser, staff_base: str, chest: Model, request: pytest.FixtureRequest) -> Iterator[Watched]:
    options = getattr(request, "param", {})
    with visitor(chromium, staff_base, **options) as watched:
        watched.context.add_init_script(VIOLATIONS)
        with platform_role():
            cookies = let_in(staff_person()).cookies
        watched.context.add_cookies(
            [{"name": name, "value": morsel.value, "url": staff_base} for name, morsel in cookies.items()]
        )
        yield watched


def every_table() -> list[str]:
    return [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry]


NAMES = {"", "Webhook"}  # the same in Chinese
THEMES = [({"color_scheme": theme}, theme) for theme in ("light", "dark")]


@pytest.mark.parametrize(("desk", "theme"), THEMES, indirect=["desk"], ids=["light", "dark"])
def test_no_table_and_no_form_hinders_anybody(desk: Watched, theme: str, chest: Model, ada: Customer) -> None:
    forms = [
        f"/admin/generation/model/{chest.pk}/change/",
        f"/admin/tenants/tenant/{ada.id}/change/",
        f"/admin/tenants/apikey/{ada.key.pk}/change/",
        "/admin/tenants/user/add/",
        "/admin/billing/planversion/add/",
        "/admin/password_change/",
    ]
    own = ["/admin/", "/admin/generation/", "/status/", "/admin/generation/model/trends/"]
    page, wrong = desk.open("/status/"), []
    for path in own + every_table() + forms:
        page.goto(desk.base + path)
        wrong += [f"{path}: {each}" for each in findings(page, TO_LOOK_FOR[theme])]
        if theme == "light":
            wrong += too_wide(page, path)
    assert not wrong, "\n".join(wrong)


def test_tab_reaches_everything_and_shows_where_it_is(desk: Watched, chest: Model) -> None:
    page, wrong = desk.open("/status/"), []
    for path in (
        "/status/", "/admin/", "/admin/generation/generation/", f"/admin/generation/model/{chest.pk}/change/",
        "/admin/tenants/auditrecord/", "/admin/generation/model/trends/",
    ):  # fmt: skip
        page.goto(desk.base + path)
        page.wait_for_load_state("networkidle")
        wrong += [f"{path}: {each}" for each in walked(page)]
    assert not wrong, "\n".join(wrong)


def test_the_door_hinders_nobody(chromium: Browser, staff_base: str) -> None:
    with visitor(chromium, staff_base) as watched:
        watched.context.add_init_script(VIOLATIONS)
        page = watched.open("/admin/login/")
        assert findings(page) + too_wide(page, "/admin/login/") == []
        page.locator("summary").click()
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_class("dark")
        assert findings(page) == []


def test_credits_are_granted_from_the_list(desk: Watched, ada: Customer) -> None:
    page = desk.open(f"/admin/billing/wallet/?q={ada.tenant.slug}")
    page.locator("input.action-select").first.check()
    page.get_by_label("Select action to run").select_option("grant")
    page.get_by_label("Amount").fill("77")
    page.get_by_label("Reason").fill("a gift")
    with platform_role():
        before = Wallet.objects.get(tenant=ada.tenant).available
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("done.")).to_be_visible()
    with platform_role():
        assert Wallet.objects.get(tenant=ada.tenant).available == before + 77
        assert AuditRecord.objects.filter(tenant=ada.tenant, details__reason="a gift").exists()


def test_filters_open_and_close_by_keyboard(desk: Watched) -> None:
    page = desk.open("/admin/generation/generation/")
    button = page.get_by_role("button", name="Filters")
    expect(page.locator("#changelist-filter")).to_be_hidden()
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#changelist-filter")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#changelist-filter")).to_be_hidden()
    button.click()
    page.locator("#changelist-filter").get_by_role("link", name="Queued").click()
    expect(page).to_have_url(f"{desk.base}/admin/generation/generation/?status__exact=queued")
    expect(page.locator("#result_list tbody tr.data-row").first).to_be_visible()


def test_a_model_is_changed_in_its_form(desk: Watched, chest: Model) -> None:
    page = desk.open(f"/admin/generation/model/{chest.pk}/change/")
    page.get_by_label("Title").fill("Another title")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).to_have_url(f"{desk.base}/admin/generation/model/")
    with platform_role():
        assert Model.objects.get(pk=chest.pk).title == "Another title"


def test_the_side_closes_and_stays_closed(desk: Watched) -> None:
    page = desk.open("/admin/")
    side = page.get_by_role("navigation", name="Staff")
    expect(side.get_by_role("link", name="Queue", exact=True)).to_be_visible()
    page.get_by_role("button", name="Navigation").click()
    expect(side).to_be_hidden()
    page.reload()
    expect(side).to_be_hidden()


@pytest.mark.parametrize("desk", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_the_side_opens_on_a_phone(desk: Watched) -> None:
    page = desk.open("/status/")
    side = page.get_by_role("navigation", name="Staff")
    expect(side).to_be_hidden()
    page.get_by_role("button", name="Navigation").click()
    side.get_by_role("link", name="Audit log").click()
    expect(page.locator("h1")).to_have_text("Audit records")


@pytest.mark.parametrize("desk", [{"locale": "zh-CN"}], indirect=True)
def test_tables_and_columns_have_chinese_names(desk: Watched, ada: Customer) -> None:
    page = desk.open("/admin/billing/wallet/")
    expect(page.locator("h1")).to_have_text("钱包")
    for text in ("租户", "可用", "已预留"):
        expect(page.locator("#result_list thead").get_by_text(text)).to_be_visible()
    page.goto(f"{desk.base}/admin/tenants/apikey/")
    assert english_in(page) == []


def english_in(page: Page) -> list[str]:
    """Headings of the table and entries of the navigation without a Chinese letter."""
    texts = page.locator("#result_list thead th .text, .staff-groups a, .staff-groups h2").all_inner_texts()
    told = (text.strip() for text in texts)
    return [text for text in told if text not in NAMES and not any("\u4e00" <= letter <= "\u9fff" for letter in text)]
