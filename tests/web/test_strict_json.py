"""A body that is not one plain JSON object is refused with the field to blame, before anything reads it."""

import io
from contextlib import suppress
from typing import Any

import pytest
from django.core.exceptions import RequestDataTooBig
from django.test import override_settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from easel import strictjson
from easel.strictjson import DEEPEST, LONGEST_FIELD, MOST_VALUES, Malformed, StrictJSONParser, read

BAD_DAYS: list[tuple[bytes, str, str]] = [
    (b"", "", "not_json"),
    (b"{", "", "not_json"),
    (b"prompt=cat", "", "not_json"),
    (b'{"prompt": "cat"} {}', "", "not_json"),
    (b"{'prompt': 'cat'}", "", "not_json"),
    (b'\xef\xbb\xbf{"prompt": "cat"}', "", "not_json"),
    (b'{"prompt": "\xff"}', "", "not_utf8"),
    (b'{"cfg_scale": NaN}', "", "not_json"),
    (b'{"cfg_scale": -Infinity}', "", "not_json"),
    (b'{"cfg_scale": 1e999}', "cfg_scale", "number_too_large"),
    (b'{"seed": ' + b"9" * 5000 + b"}", "", "number_too_large"),
    (b"[]", "", "not_an_object"),
    (b'"cat"', "", "not_an_object"),
    (b"null", "", "not_an_object"),
    (b'{"seed": 1, "seed": 2}', "seed", "duplicate_field"),
    (b'{"metadata": {"a": 1, "a": 1}}', "a", "duplicate_field"),
    (b'{"prompt": "c\\u0000t"}', "prompt", "null_character"),
    (b'{"prompt": "c\x00t"}', "", "not_json"),
    (b'{"metadata": {"tags": ["a", "\\u0000"]}}', "metadata.tags.1", "null_character"),
    (b'{"metadata": {"\\u0000": "a"}}', "metadata", "null_character"),
    (b'{"prompt": "\\ud800"}', "prompt", "lone_surrogate"),
    (b'{"a": ' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1), ".".join("a" * DEEPEST), "too_deep"),
    (b'{"a": ' + b"[" * 9_000 + b"]" * 9_000 + b"}", "", "too_deep"),
    (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "", "too_many_values"),
]


@pytest.mark.parametrize(("body", "field", "code"), BAD_DAYS, ids=lambda value: repr(value)[:40])
def test_bad_json_is_refused_by_field_and_code(body: bytes, field: str, code: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(body)
    assert (refused.value.error.field, refused.value.error.code) == (field, code)
    assert refused.value.error.detail


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        ('{"prompt": "赛博朋克城市 🌃"}'.encode(), {"prompt": "赛博朋克城市 🌃"}),
        (b'{"prompt": "\\ud83c\\udf03"}', {"prompt": "🌃"}),
        (b'{"seed": 18446744073709551615}', {"seed": 2**64 - 1}),
        (b'{"a": ' * DEEPEST + b"1" + b"}" * DEEPEST, None),
    ],
)
def test_good_json_is_read_as_it_is(body: bytes, value: dict[str, Any] | None) -> None:
    assert value is None or read(body) == value


@hypothesis_settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_body_whatever_breaks_the_parser(body: bytes) -> None:
    with suppress(Malformed):
        assert isinstance(read(body), dict)


def test_a_long_name_is_refused_and_not_echoed_without_end() -> None:
    assert read(b'{"%b": 1}' % (b"x" * LONGEST_FIELD))
    with pytest.raises(Malformed) as refused:
        read(b'{"metadata": {"%b": 1}}' % (b"x" * (LONGEST_FIELD + 1)))
    assert refused.value.error.code == "name_too_long"
    assert refused.value.error.field == "x" * LONGEST_FIELD


@pytest.mark.parametrize("body", [b'{"ids": [%b]}', b'{"a": {"ids": [%b], "b": "c,d"}}'])
@pytest.mark.parametrize("item", [b"1", b'"a"', b'{"a": "1,2"}', b"[]", b'"a, \\" [ b"'])
def test_a_body_has_so_many_values_and_no_more(body: bytes, item: bytes) -> None:
    taken = 2 + 2 * body.count(b'"a"')  # what is around the items: the object, its list, the object in it, its text
    fit = (MOST_VALUES - taken) // (2 if b": " in item else 1)
    assert read(body % b",".join([item] * fit))
    for many in (fit + 1, 20 * MOST_VALUES):
        with pytest.raises(Malformed) as refused:
            read(body % b",".join([item] * many))
        assert (refused.value.error.field, refused.value.error.code) == ("", "too_many_values")


def test_a_text_may_hold_any_number_of_what_begins_values_elsewhere() -> None:
    text = '[{,\\"' * MOST_VALUES
    assert read(b'{"prompt": "%b"}' % text.encode())["prompt"] == '[{,"' * MOST_VALUES


def test_a_body_of_millions_of_values_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_given: object, **_named: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr("easel.strictjson.json.loads", never)
    for body in (b'{"a": [' + b"0," * 2_000_000 + b"0]}", b'{"a": [' + b"[]," * 1_000_000, b'{"":0,' * 500_000):
        with pytest.raises(Malformed) as refused:
            read(body)
        assert refused.value.error.code == "too_many_values"


def test_a_value_costs_nothing_of_the_names_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a value lies is put together for a refusal alone."""
    dotted: list[object] = []

    def seen(path: strictjson.Path) -> str:
        dotted.append(path)
        return "somewhere"

    monkeypatch.setattr(strictjson, "_dotted", seen)
    assert read(b'{"metadata": {"tags": [%b]}}' % b",".join([b'"a"'] * 1000))
    assert dotted == []
    with pytest.raises(Malformed):
        read(b'{"metadata": {"tags": ["a", "\\u0000", "\\u0000"]}}')
    assert len(dotted) == 1


def test_no_more_than_the_cap_is_read() -> None:
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=20):
        assert StrictJSONParser().parse(io.BytesIO(b'{"prompt": "abcdef"}')) == {"prompt": "abcdef"}
        stream = io.BytesIO(b'{"prompt": "abcdefg"}' + bytes(1000))
        with pytest.raises(RequestDataTooBig):
            StrictJSONParser().parse(stream)
        assert stream.tell() == 21
