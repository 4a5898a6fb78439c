"""A run as a real model draws it: what the worker sketched on the way is seen in each slot before the pictures are."""

from playwright.sync_api import expect

from tests.browser.conftest import Opens
from tests.browser.easel import Easel

# Which slots have shown a preview, and how far the bar came on the way.
WATCHING = """
window.seen = {slots: {}, progress: 0};
new MutationObserver(() => {
  for (const image of document.querySelectorAll("[data-slot] .slot-wait img:not([hidden])"))
    if (image.naturalWidth || image.src.startsWith("data:image/"))
      window.seen.slots[image.closest("[data-slot]").dataset.slot] = image.src.slice(0, 22);
  for (const bar of document.querySelectorAll(".run progress"))
    window.seen.progress = Math.max(window.seen.progress, bar.value);
}).observe(document, {subtree: true, childList: true, attributes: true});
"""


def test_previews_of_a_real_model_appear_in_every_slot_before_its_pictures(easel: Easel, open_page: Opens) -> None:
    _customer, _user, cookie = easel.visitor()
    page = open_page(cookie)
    page.add_init_script(WATCHING)
    page.goto("/console/playground?" + "&".join(("prompt=a+red+apple", "n=2", "steps=150", "width=256", "height=256")))
    page.get_by_role("button", name="Draw", exact=True).click()
    expect(page.locator(".run img[data-image]")).to_have_count(2, timeout=60_000)
    seen = page.evaluate("window.seen")
    assert sorted(seen["slots"]) == ["0", "1"], seen
    assert set(seen["slots"].values()) == {"data:image/jpeg;base64"}
    assert seen["progress"] > 0.3
