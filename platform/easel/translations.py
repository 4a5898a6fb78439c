"""The texts of the console in its languages: found in the source, kept as `.po`, compiled to the `.mo` of gettext.

All of it in Python, so that no machine needs GNU gettext. Compiled files are made where they are needed and never kept.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from babel.messages import extract, mofile, pofile
from babel.messages.catalog import Catalog
from django.conf import settings
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

SOURCE_LANGUAGE: Final = "en"
KEYWORDS: Final = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
CODE: Final = ("platform/easel", "tenants", "billing", "moderation", "generation")
TEMPLATES: Final = "templates"
_PLACEHOLDER: Final = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


def catalogs() -> Iterator[tuple[str, Path]]:
    """Every language but the source's, and its file."""
    for code, _name in settings.LANGUAGES:
        if code != SOURCE_LANGUAGE:
            yield code, Path(settings.LOCALE_PATHS[0]) / to_locale(code) / "LC_MESSAGES" / "django.po"


def compile_all() -> list[Path]:
    """Write each `.mo` that is older than its `.po`, whole or not at all."""
    written = []
    for code, source in catalogs():
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        compiled = io.BytesIO()
        mofile.write_mo(compiled, read(code, source))
        unfinished = target.with_suffix(".mo.new")
        unfinished.write_bytes(compiled.getvalue())
        unfinished.replace(target)
        written.append(target)
    return written


def read(code: str, source: Path) -> Catalog:
    with source.open("rb") as file:
        return pofile.read_po(file, locale=to_locale(code), domain="django", ignore_obsolete=True)


def found(root: Path) -> Catalog:
    """Everything that the source marks for translation."""
    template = Catalog(domain="django", charset="utf-8")
    for path, messages in _extracted(root):
        for _line, message, _comments, context in messages:
            template.add(message, locations=[(str(path.relative_to(root)), 0)], context=context)
    return template


def update(root: Path) -> list[Path]:
    """Bring each `.po` up to date: new texts come in empty, those that are gone go, translations stay."""
    template, paths = found(root), []
    for code, path in catalogs():
        path.parent.mkdir(parents=True, exist_ok=True)
        catalog = read(code, path) if path.exists() else Catalog(locale=to_locale(code), domain="django")
        catalog.update(template, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        written = io.BytesIO()
        pofile.write_po(written, catalog, width=120, no_location=True, sort_output=True, omit_header=True)
        path.write_bytes(_header(code, catalog).encode() + written.getvalue())
        paths.append(path)
    return paths


def wrong(code: str, path: Path, template: Catalog) -> list[str]:
    """What keeps a catalog from being complete: texts without a translation, unsure ones, lost placeholders."""
    catalog, problems = read(code, path), []
    for message in template:
        if not message.id:
            continue
        translated = catalog.get(message.id, message.context)
        strings = [translated.string] if translated and isinstance(translated.string, str) else []
        if translated and isinstance(translated.string, tuple | list):
            strings = list(translated.string)
        if not strings or not all(strings):
            problems.append(f"not translated: {message.id!r}")
        elif translated and translated.fuzzy:
            problems.append(f"unsure: {message.id!r}")
        else:
            expected = set(_PLACEHOLDER.findall(message.id if isinstance(message.id, str) else message.id[-1]))
            problems += [
                f"placeholders differ: {message.id!r}"
                for string in strings
                if set(_PLACEHOLDER.findall(string)) != expected
            ]
    return problems


def _header(code: str, catalog: Catalog) -> str:
    """Without dates and names, which would differ in every branch."""
    return (
        "# `manage.py translations --update` takes up new texts and keeps the order.\n"
        'msgid ""\nmsgstr ""\n'
        f'"Language: {to_locale(code)}\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        f'"Plural-Forms: {catalog.plural_forms}\\n"\n\n'
    )


def _extracted(root: Path) -> Iterator[tuple[Path, list[tuple[int, str | tuple[str, ...], list[str], str | None]]]]:
    for folder in CODE:
        for path in sorted((root / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                with path.open("rb") as file:
                    yield path, list(extract.extract("python", file, KEYWORDS))
    for path in sorted((root / TEMPLATES).rglob("*.*")):
        calls = templatize(path.read_text(encoding="utf-8"), origin=str(path))
        # Its calls look like JavaScript's as well, and that reader does not mind how the rest is indented.
        yield path, list(extract.extract("javascript", io.BytesIO(calls.encode()), KEYWORDS))
