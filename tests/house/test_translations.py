"""Every text of the console in every language, and no text outside of what is translated."""

import re
from pathlib import Path

import pytest
from django.template.base import Lexer, TokenType
from django.test import Client

from easel import translations

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("console", "account", "allauth", "errors")
PAGES = sorted(page for folder in FOLDERS for page in (ROOT / "templates" / folder).rglob("*.html"))
# Names, units and signs that are the same in every language.
SAME = {"Easel", "CSV", "JSON", "Esc", "Ctrl", "K", "h", "s", "HTTP", "API", "UTC", "curl"}
SPOKEN = re.compile(r"""\b(?:alt|title|placeholder|aria-label|label)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
TAG = re.compile(r"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>?")  # one that a condition ends early, too
WORD = re.compile(r"[A-Za-z]+")
CLASSES = re.compile(r"{% block \w+_class %}.*?{% endblock %}")
HOLE = " "  # where a template tag stood


def bare_words(source: str) -> list[str]:
    """Words that a person would read and that no tag translates."""
    text, depth = "", 0
    for token in Lexer(CLASSES.sub(HOLE, source)).tokenize():
        if token.token_type == TokenType.TEXT:
            text += token.contents if depth == 0 else ""
            continue
        text += HOLE
        word = token.contents.split()[0] if token.contents.strip() else ""
        depth += (word in {"blocktranslate", "blocktrans"}) - (word in {"endblocktranslate", "endblocktrans"})
    spoken = " ".join(a or b for a, b in SPOKEN.findall(text))
    seen = TAG.sub(HOLE, re.sub(r"&\w+;", HOLE, text))
    return [word for word in WORD.findall(f"{seen} {spoken}") if word not in SAME]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "templates")))
def test_no_page_has_words_that_are_not_translated(page: Path) -> None:
    assert bare_words(page.read_text(encoding="utf-8")) == []


def test_bare_words_are_found() -> None:
    assert bare_words('<p title="Hello {{ name }}">{% translate "Yes" %} no</p>') == ["no", "Hello"]
    assert bare_words("{% blocktranslate %}All of <b>this</b>{% endblocktranslate %}") == []


@pytest.mark.parametrize(("code", "path"), list(translations.catalogs()), ids=lambda each: str(each)[-10:])
def test_every_text_is_translated(code: str, path: Path) -> None:
    assert translations.wrong(code, path, translations.found(ROOT)) == []


@pytest.mark.parametrize(("code", "path"), list(translations.catalogs()), ids=lambda each: str(each)[-10:])
def test_no_translation_is_of_a_text_that_is_gone(code: str, path: Path) -> None:
    template = translations.found(ROOT)
    assert [message.id for message in translations.read(code, path) if message.id and message.id not in template] == []


def test_what_is_missing_unsure_or_broken_is_said(tmp_path: Path) -> None:
    path = tmp_path / "django.po"
    path.write_text('msgid ""\nmsgstr ""\n\nmsgid "a %(b)s"\nmsgstr "c"\n\n#, fuzzy\nmsgid "d"\nmsgstr "e"\n')
    template = translations.Catalog()
    for text in ("a %(b)s", "d", "f"):
        template.add(text)
    problems = translations.wrong("zh-hans", path, template)
    assert problems == ["placeholders differ: 'a %(b)s'", "unsure: 'd'", "not translated: 'f'"]


def test_a_visitor_reads_their_language() -> None:
    page = Client(headers={"accept-language": "zh-CN,zh;q=0.9", "accept": "text/html"}).get("/console/sign-in")
    assert "登录 Easel" in page.content.decode()


def test_a_language_is_called_as_those_who_read_it_call_it() -> None:
    page = Client(headers={"accept-language": "zh-CN,zh;q=0.9", "accept": "text/html"}).get("/console/sign-in")
    assert ">English" in page.content.decode()
