"""Every page by the keyboard alone: Tab reaches whatever can be used, shows where it is, and gets out again."""

from typing import Any

from playwright.sync_api import Page

from tests.browser.conftest import Opens
from tests.browser.easel import Easel
from tests.browser.test_every_page import DOORS, of_one_thing, pages

# What can be used and is there to be seen, each with a number; of radio buttons one for each group.
MARK = """
() => {
  const groups = new Set();
  let count = 0;
  for (const each of document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")) {
    const shown = each.checkVisibility({visibilityProperty: true});
    if (!shown || each.disabled || each.tabIndex < 0 || each.closest("[inert]")) continue;
    if (each.type === "radio") {
      if (groups.has(each.name)) continue;
      groups.add(each.name);
    }
    each.dataset.stop = String(count++);
  }
  return count;
}
"""
# Which of them has the focus (a radio button stands for its group), and whether that shows.
WHERE = """
() => {
  const each = document.activeElement;
  if (!each || each === document.body) return null;
  const stop = each.type === "radio"
    ? document.querySelector(`[type=radio][name="${each.name}"][data-stop]`) ?? each : each;
  const outlined = [each, each.closest("label, .search, .palette-ask")].filter(Boolean).some((one) => {
    const style = getComputedStyle(one);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  });
  return {stop: stop.dataset.stop ?? null, outlined, html: each.outerHTML.slice(0, 140)};
}
"""


def test_tab_reaches_everything_on_every_page_and_shows_where_it_is(easel: Easel, open_page: Opens) -> None:
    customer, _user, cookie = easel.visitor()
    inside = pages() + of_one_thing(customer)
    wrong: list[str] = []
    for paths, page in ((DOORS, open_page()), (inside, open_page(cookie))):
        page.watch.allowed.append("404 (Not Found)")  # type: ignore[attr-defined]  # the page that is not there
        for path in paths:
            page.goto(path)
            page.wait_for_load_state("networkidle") if path != "/console/live" else page.wait_for_load_state("load")
            wrong += [f"{path}: {each}" for each in walked(page)]
    assert wrong == []


def walked(page: Page) -> list[str]:
    """What Tab does not reach on this page, and where it does not show that it is there."""
    expected = page.evaluate(MARK)
    page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); }")
    reached, unseen = set(), []
    for _ in range(expected * 2 + 10):
        page.keyboard.press("Tab")
        where: dict[str, Any] | None = page.evaluate(WHERE)
        if where is None:
            if len(reached) >= expected:
                break
            continue
        reached.add(where["stop"])
        if not where["outlined"]:
            unseen.append(f"no sign of the focus on {where['html']}")
    missed = page.evaluate(
        "reached => [...document.querySelectorAll('[data-stop]')]"
        ".filter((each) => !reached.includes(each.dataset.stop)).map((each) => each.outerHTML.slice(0, 140))",
        sorted(each for each in reached if each is not None),
    )
    return [f"not reached: {each}" for each in missed] + list(dict.fromkeys(unseen))
