"""The console's navigation: a registry. Each app says in a file of its own, `<app>/entries.py`, which pages it adds,
and registers them when it is ready; templates get what this visitor may see."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import ResolverMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tenants import permissions

THEME_COOKIE: Final = "easel_theme"
THEMES: Final = ("light", "dark")

SECTIONS: Final[dict[str, Promise]] = {
    "create": _("Create"),
    "develop": _("Develop"),
    "workspace": _("Workspace"),
}

# A person's own pages, by allauth: the tabs above each of them.
ACCOUNT_PAGES: Final = (
    ("account_email", _("E-mail")),
    ("account_change_password", _("Password")),
    ("mfa_index", _("Second factor")),
    ("usersessions_list", _("Sessions")),
    ("workspaces", _("Workspaces")),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the side navigation and in the command palette. `order` sorts within the section; `within` are routes
    whose pages belong to this entry, too."""

    section: str
    order: int
    route: str
    label: Promise
    icon: str
    permission: str = permissions.VIEW
    within: frozenset[str] = frozenset()
    only_palette: bool = False

    @property
    def url(self) -> str:
        return reverse(self.route)


@dataclass(frozen=True, slots=True)
class Shown:
    entry: Entry
    current: bool


_entries: dict[str, Entry] = {}


def add(*entries: Entry) -> None:
    """Raises ValueError for a section or a permission that there is not."""
    for entry in entries:
        if entry.section not in SECTIONS or entry.permission not in permissions.PERMISSIONS:
            raise ValueError(f"{entry.route}: there is no section {entry.section!r} or no such permission.")
        _entries[entry.route] = entry


def entries_for(granted: frozenset[str]) -> list[Entry]:
    places = list(SECTIONS)
    allowed = [entry for entry in _entries.values() if entry.permission in granted]
    return sorted(allowed, key=lambda entry: (places.index(entry.section), entry.order))


def theme_of(request: HttpRequest) -> str:
    """light or dark; empty: as the system."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor: what the frame around every page needs."""
    context: dict[str, Any] = {
        "theme": theme_of(request),
        "account_pages": ACCOUNT_PAGES,
        "this_page": _this_page(request),
    }
    visitor = getattr(request, "visitor", None)
    if visitor is not None:
        found = entries_for(visitor.permissions)
        route = request.resolver_match.url_name if request.resolver_match else ""
        context |= {"visitor": visitor, "navigation": list(_sections(found, route or "")), "palette": found}
    return context


def can_be_opened(match: ResolverMatch) -> bool:
    """What came of sending something may be shown at an address that takes nothing else."""
    return "GET" in getattr(match.func, "permissions", {"GET": ""})


def _this_page(request: HttpRequest) -> str:
    """Where this page can be opened again: if not at its own address, its entry's."""
    match = request.resolver_match
    if match is None or can_be_opened(match):
        return request.get_full_path()
    entry = next((each for each in _entries.values() if match.url_name in each.within), None)
    return entry.url if entry else reverse("console")


def _sections(entries: list[Entry], route: str) -> Iterator[tuple[Promise, list[Shown]]]:
    for name, title in SECTIONS.items():
        shown = [
            Shown(entry, route == entry.route or route in entry.within)
            for entry in entries
            if entry.section == name and not entry.only_palette
        ]
        if shown:
            yield title, shown
