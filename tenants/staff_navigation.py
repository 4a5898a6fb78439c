"""The staff's navigation: a registry like the console's. Each app says in its `admin.py` which pages it adds, and where
they stand; who may not open a page is not shown it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants import staff_words
from tenants.models import User

if TYPE_CHECKING:
    from tenants.staff_words import Text

SECTIONS: Final[dict[str, Promise]] = {
    "now": _("Now"),
    "work": pgettext_lazy("what is drawn", "Work"),
    "tenants": _("Tenants"),
    "money": _("Plans and credits"),
    "sign-in": _("Sign-in"),
}

May = Callable[[User], bool]


@dataclass(frozen=True, slots=True)
class Entry:
    """A page beside the tables. `anchor` leads to a part of it."""

    section: str
    order: int
    route: str
    label: "Text"
    may: May
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    url: str
    label: str
    current: bool


_entries: list[Entry] = []


def add(*entries: Entry) -> None:
    """Raises ValueError for a section that there is not."""
    for entry in entries:
        if entry.section not in SECTIONS:
            raise ValueError(f"{entry.route}: there is no section {entry.section!r}.")
        _entries.append(entry)


def add_tables(section: str, *named: "tuple[type[Model], Text, Text]") -> None:
    """Tables, each with what one of its rows is called and what many are: they get these names, and their lists stand
    here, in this order, for whoever may look at their rows."""
    for order, (model, one, many) in enumerate(named, start=100):
        staff_words.call(model, one, many)
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        add(Entry(section, order, f"admin:{name}_changelist", many, may_view(model)))


def may_view(model: type[Model]) -> May:
    app, name = model._meta.app_label, model._meta.model_name
    return lambda user: user.has_perm(f"{app}.view_{name}") or user.has_perm(f"{app}.change_{name}")


def anybody(_user: User) -> bool:
    """Of those who are let in at all."""
    return True


def sections(request: HttpRequest) -> list[tuple[Promise, list[Shown]]]:
    user = request.user
    if not isinstance(user, User):
        return []
    allowed = sorted((entry for entry in _entries if entry.may(user)), key=lambda entry: entry.order)
    shown = ((title, list(_shown(allowed, name, request.path))) for name, title in SECTIONS.items())
    return [(title, entries) for title, entries in shown if entries]


def _shown(entries: list[Entry], section: str, path: str) -> Iterator[Shown]:
    for entry in entries:
        if entry.section == section:
            url = reverse(entry.route)
            here = not entry.anchor and (path == url or (_is_table(entry) and path.startswith(url) and not _own(path)))
            yield Shown(url + entry.anchor, str(entry.label), here)


def _is_table(entry: Entry) -> bool:
    return entry.route.endswith("_changelist")


def _own(path: str) -> bool:
    """Whether the page has an entry of its own, below a table's address."""
    return any(not _is_table(entry) and not entry.anchor and reverse(entry.route) == path for entry in _entries)
