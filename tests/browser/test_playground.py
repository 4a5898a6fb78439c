"""The playground: a run as it is drawn, cancel, refusals, and what one takes along."""

import base64
import re
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from playwright.sync_api import Page, expect

from easel.database import platform_role
from generation import events
from generation.models import Generation
from tests.browser.conftest import Opens
from tests.browser.easel import Easel

# One red pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


def opened(easel: Easel, open_page: Opens, role: str = "owner", **options: object) -> tuple[Page, UUID]:
    customer, _user, cookie = easel.visitor(role=role)
    page = open_page(cookie, **options)
    page.goto("/console/playground")
    expect(page.locator(".quote-price")).to_have_text("1 credit")
    return page, customer.id


def test_a_run_shows_place_progress_and_previews_until_its_picture_is_there(easel: Easel, open_page: Opens) -> None:
    page, tenant_id = opened(easel, open_page)
    with easel.painter.resting():
        page.fill("#prompt", "a red apple")
        page.select_option("#n", "2")
        page.click("#draw")
        run = page.locator(".run")
        expect(run).to_contain_text("number 1 in the queue")
        generation_id = UUID(run.get_attribute("data-run") or "")
        preview = {"index": 1, "step": 1, "steps": 2, "content_type": "image/png", "image": PIXEL}
        picture = run.locator('[data-slot="1"] .slot-wait img')

        def told() -> bool:
            """News reach whoever listens by now; the stream may still be opening."""
            events.publish(generation_id, "progress", {"progress": 0.5}, tenant_id=tenant_id)
            events.publish(generation_id, "preview", preview, tenant_id=tenant_id)
            page.wait_for_timeout(200)
            return picture.is_visible()

        assert any(told() for _ in range(40))
        assert run.locator("progress").evaluate("bar => bar.value") == 0.5
        assert run.locator('[data-slot="0"] .slot-wait img').is_hidden()
    expect(run.locator("img[data-image]")).to_have_count(2)
    expect(run).to_contain_text("Completed")
    expect(run).to_contain_text("2 credits")


def test_drawing_twice_at_once_makes_one_run(easel: Easel, open_page: Opens) -> None:
    """Ctrl-Enter asks the form itself, whether or not its button is disabled."""
    page, tenant_id = opened(easel, open_page)
    with easel.painter.resting():
        page.fill("#prompt", "a red apple")
        page.evaluate(
            """() => {
            const twice = {key: "Enter", ctrlKey: true, bubbles: true, cancelable: true};
            for (let time = 0; time < 2; time++) {
                document.getElementById("prompt").dispatchEvent(new KeyboardEvent("keydown", twice));
            }
        }"""
        )
        expect(page.locator(".run")).to_have_count(1)
        page.wait_for_timeout(500)  # a second one would be on its way by now
        with platform_role():
            assert Generation.objects.filter(tenant_id=tenant_id).count() == 1
        page.locator("#prompt").press("Control+Enter")
        expect(page.locator(".run")).to_have_count(2)


def test_cancel_ends_what_waits_and_costs_nothing(easel: Easel, open_page: Opens) -> None:
    page, _tenant_id = opened(easel, open_page)
    with easel.painter.resting():
        page.fill("#prompt", "a red apple")
        page.click("#draw")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".run")).to_contain_text("Canceled")
    expect(page.locator(".run")).to_contain_text("0 credits")


def test_a_refusal_stands_beside_the_form_and_keeps_what_was_written(easel: Easel, open_page: Opens) -> None:
    page, _tenant_id = opened(easel, open_page)
    page.watch.allowed.append("400 (Bad Request)")  # type: ignore[attr-defined]  # Chromium says so of every 400
    page.fill("#prompt", "a red apple")
    page.fill("#width", "1024")
    page.click("#draw")
    expect(page.locator("#playground-problem")).to_contain_text("Something in the form does not fit")
    expect(page.locator("#playground-problem")).to_contain_text("width")
    assert page.input_value("#prompt") == "a red apple"
    assert page.locator(".run").count() == 0


def test_a_refusal_is_seen_on_a_phone(easel: Easel, open_page: Opens) -> None:
    page, _tenant_id = opened(easel, open_page, viewport={"width": 390, "height": 500})
    page.watch.allowed.append("400 (Bad Request)")  # type: ignore[attr-defined]
    page.fill("#prompt", "a red apple")
    page.click("#draw")
    expect(page.locator(".run img[data-image]")).to_have_count(1)
    page.fill("#width", "1024")
    page.click("#draw")
    problem = page.locator("#playground-problem")
    expect(problem).to_contain_text("width")
    page.wait_for_timeout(500)  # it would have scrolled away by now
    expect(problem).to_be_in_viewport()


def test_price_and_tokens_follow_the_form(easel: Easel, open_page: Opens) -> None:
    page, _tenant_id = opened(easel, open_page)
    page.fill("#prompt", "an")
    expect(page.locator("#prompt-tokens")).to_have_text("4 / 16")
    page.fill("#prompt", "abcdefghijklmnopqrstuvw")
    expect(page.locator("#quote")).to_contain_text("its end is not read")
    page.select_option("#n", "4")
    expect(page.locator(".quote-price")).to_have_text("4 credits")


def test_a_link_carries_the_settings(easel: Easel, open_page: Opens) -> None:
    page, _tenant_id = opened(easel, open_page)
    page.fill("#prompt", "a green pear & more")
    page.select_option("#n", "3")
    page.click("#seed-lock")
    seed = page.input_value("#seed")
    assert re.fullmatch(r"\d+", seed)
    page.evaluate("document.getElementById('share-settings').click()")  # as a screen reader does
    link = page.get_attribute("#share-settings", "data-copy-text") or ""
    page.goto(link)
    assert page.input_value("#prompt") == "a green pear & more"
    assert page.input_value("#n") == "3"
    assert page.input_value("#seed") == seed


def test_a_link_is_taken_as_it_is(easel: Easel, open_page: Opens) -> None:
    """Sliders do not bend its numbers, and its picture is shown and drawn from."""
    page, _tenant_id = opened(easel, open_page)
    page.fill("#prompt", "a red apple")
    page.click("#draw")
    image = page.locator(".run img[data-image]").get_attribute("data-image")
    exact = {"cfg_scale": "27.25", "strength": "0.555", "quality_target": "0.42", "clip_skip": "2"}
    asked = {"prompt": "a green pear", "init_image": str(image), "steps": "4", "min_steps": "1", **exact}
    page.goto(f"/console/playground?{urlencode(asked)}")
    assert {name: page.input_value(f"[name={name}]") for name in exact} == exact
    preview = page.locator("#start-image")
    expect(preview).to_be_visible()
    page.wait_for_function("image => image.complete && image.naturalWidth === 64", arg=preview.element_handle())
    expect(page.locator("#drop")).to_be_hidden()
    page.hover("#share-settings")
    page.mouse.down()
    page.mouse.up()
    link = page.get_attribute("#share-settings", "data-copy-text") or ""
    assert asked.items() <= dict(parse_qsl(urlsplit(link).query)).items()
    page.locator("#cfg_scale").press("ArrowLeft")
    assert page.input_value("#cfg_scale") == "27"
    page.get_by_role("button", name="Remove").click()
    expect(preview).to_be_hidden()
    assert page.input_value("#init_image") == ""


def test_a_mask_is_painted_and_drawn_with(easel: Easel, open_page: Opens) -> None:
    page, _tenant_id = opened(easel, open_page)
    page.fill("#prompt", "a red apple")
    page.click("#start summary")
    page.evaluate(
        """async () => {
        const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 64});
        canvas.getContext("2d").fillRect(0, 0, 64, 64);
        const blob = await new Promise((done) => canvas.toBlob(done));
        const files = new DataTransfer();
        files.items.add(new File([blob], "start.png", {type: "image/png"}));
        const input = document.getElementById("init-file");
        input.files = files.files;
        input.dispatchEvent(new Event("change"));
    }"""
    )
    page.get_by_role("button", name="Paint what to draw anew").click()
    canvas = page.locator("#mask-canvas")
    page.locator(".mask-tools span").first.hover()
    page.mouse.down()  # a pointer that was pressed elsewhere paints nothing
    canvas.hover()
    page.mouse.up()
    canvas.focus()
    for key in ("ArrowLeft", " ", "ArrowRight", " "):
        page.keyboard.press(key)
    page.get_by_role("button", name="Use this").click()
    expect(page.get_by_text("A part is marked")).to_be_visible()
    mask = page.input_value("#mask")
    assert base64.b64decode(mask.partition(",")[2])[:4] == b"\x89PNG"
    page.get_by_role("button", name="Code", exact=True).click()
    expect(page.locator("#code-python")).to_contain_text('"mask": "<base64 of a picture>"')
    page.keyboard.press("Escape")
    page.click("#draw")
    expect(page.locator(".run img[data-image]")).to_have_count(1)


def test_a_file_that_is_no_picture_is_said_to_be_none(easel: Easel, open_page: Opens) -> None:
    page, _tenant_id = opened(easel, open_page)
    page.set_input_files("#init-file", [{"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"}])
    expect(page.get_by_text("This file cannot be read as a picture.")).to_be_visible()
    assert page.input_value("#init_image") == ""


def test_variations_compare_and_grid(easel: Easel, open_page: Opens) -> None:
    page, _tenant_id = opened(easel, open_page)
    page.fill("#prompt", "a red apple")
    page.click("#draw")
    expect(page.locator(".run img[data-image]")).to_have_count(1)
    page.get_by_role("button", name="Variations").click()
    expect(page.locator(".run img[data-image]")).to_have_count(5)
    compare = page.get_by_role("button", name="Compare", exact=True)
    compare.nth(0).click()
    compare.nth(1).click()
    expect(page.locator("#compare-dialog")).to_be_visible()
    page.locator("#compare-range").press("ArrowRight")
    assert page.locator("#compare").evaluate("each => each.style.getPropertyValue('--cut')") == "51%"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="X/Y grid").click()
    page.fill("#x_values", "1, 2")
    page.fill("#y_values", "3, 7")
    page.get_by_role("button", name="Draw the grid").click()
    expect(page.locator(".xy-cell img")).to_have_count(4)


def test_the_code_is_the_request(easel: Easel, open_page: Opens) -> None:
    page, _tenant_id = opened(easel, open_page)
    page.fill("#prompt", "it's an apple")
    page.get_by_role("button", name="Code", exact=True).click()
    expect(page.locator("#code-python")).to_contain_text('"prompt": "it\'s an apple"')
    expect(page.locator("#code-curl")).to_contain_text("/v1/generations")
    expect(page.locator("#code-javascript")).to_contain_text("fetch(")


def test_the_code_is_copied_on_an_address_without_tls_too(easel: Easel, open_page: Opens) -> None:
    """Where browsers have no clipboard for pages, and the code stands in a dialog."""
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie)
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined});")
    page.goto("/console/playground")
    page.fill("#prompt", "an apple in code")
    page.get_by_role("button", name="Code", exact=True).click()
    page.get_by_role("button", name="Copy the code").first.click()
    expect(page.get_by_text("Copied")).to_be_visible()
    page.keyboard.press("Escape")
    page.fill("#prompt", "")
    page.locator("#prompt").press("Control+v")
    assert "an apple in code" in page.input_value("#prompt")
