"""The screening process and those who ask it."""

import io
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.conf import settings
from PIL import Image

from easel.embedded.stack import Stack
from moderation.screening import client
from moderation.screening.client import ImageRefused, ScreeningDown
from moderation.text.keywords import flagged_by_terms
from moderation.text.reading import readable
from tests.moderation.pictures import png

REAL = {"EASEL_SCREENING_IMAGE_SCORER": ""}


@pytest.fixture(scope="module", autouse=True)
def _real_model(stack: Stack) -> Iterator[None]:
    stack.restart("screening", REAL)
    yield
    stack.restart("screening")


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    client.forget()
    yield
    client.forget()


@contextmanager
def without_screening(stack: Stack, **extra: str) -> Iterator[None]:
    stack.halt("screening")
    try:
        yield
    finally:
        stack.start("screening", extra=REAL)
        client.forget()


def cosine(a: object, b: object) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))  # type: ignore[call-overload]


def test_an_embedding_has_384_numbers_of_unit_length_and_means_something() -> None:
    cat, kitten, tax = client.embed(["a cat on a sofa", "一只猫在沙发上", "quarterly tax declaration form"])
    assert [len(each) for each in (cat, kitten, tax)] == [384] * 3
    assert cosine(cat, cat) == pytest.approx(1.0, abs=1e-4)
    assert cosine(cat, kitten) > cosine(cat, tax)


def test_the_same_text_is_embedded_the_same_alone_and_in_company() -> None:
    (alone,) = client.embed(["a red apple in company"])
    client.forget()
    _, among, _ = client.embed(["first", "a red apple in company", "third"])
    assert max(abs(x - y) for x, y in zip(alone, among, strict=True)) < 1e-5


def test_texts_that_a_c_string_or_utf_8_cannot_hold_are_embedded_too() -> None:
    hidden, plain, lone = client.embed(["apple\0 pie", "apple", "half \ud83d pair"])
    assert cosine(hidden, plain) < 0.9999  # what follows a NUL is not lost
    assert len(lone) == 384


def test_a_text_that_grew_when_its_disguises_were_undone_is_read_and_is_no_outage() -> None:
    ornament, korean = readable("\ufdfa" * 4_000), readable("\ud55c\uad6d\uc5b4 " * 1_000)
    assert len(ornament) > 8_000
    assert len(client.embed([ornament, korean, *(f"{n} {ornament}" for n in range(20))])) == 22
    assert len(client.embed(["and everybody else"])) == 1


def test_a_question_that_is_refused_does_not_open_the_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST_TEXT", 20_000)
    for _ in range(client.FAILURES + 1):
        with pytest.raises(ScreeningDown, match="8000 characters"):
            client.embed(["x" * 9_000])
    assert len(client.embed(["and everybody else"])) == 1


@pytest.mark.parametrize("before", [0, 300, 900])
def test_what_is_harmful_is_seen_among_much_that_is_harmless(before: int) -> None:
    """No term flags it, so the classifier's word is all there is."""
    harmful = "blood everywhere, a man stabbing another man to death in a dark alley"
    assert not flagged_by_terms(harmful)
    padding = "a bowl of oranges on a kitchen table, morning light, a grey cat asleep on the chair, " * 12
    (reading,) = client.read_texts([readable(f"{padding[:before]} {harmful}, {padding[: 1000 - before]}")])
    assert reading.scores["violence"] >= 0.5
    (harmless,) = client.read_texts([readable(padding)])
    assert max(harmless.scores.values()) < 0.5


def test_a_harmless_picture_scores_low_and_a_copy_in_another_format_has_nearly_the_same_hash() -> None:
    data = png(seed=5)
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).save(file, "jpeg", quality=70)
    first, copy = client.screen_image(data), client.screen_image(file.getvalue())
    other = client.screen_image(png(seed=2))
    assert first.scores["sexual"] < 0.3
    assert (int(first.phash, 16) ^ int(copy.phash, 16)).bit_count() <= 6
    assert (int(first.phash, 16) ^ int(other.phash, 16)).bit_count() > 6


def test_what_is_no_picture_is_refused_and_is_no_outage() -> None:
    for data in (b"", b"not a picture", png()[:60]):
        with pytest.raises(ImageRefused):
            client.screen_image(data)
    assert client.screen_image(png()).phash


def test_a_stopped_process_is_an_error_at_once_and_answers_again_when_it_is_back(stack: Stack) -> None:
    with without_screening(stack):
        for _ in range(client.FAILURES):
            with pytest.raises(ScreeningDown):
                client.embed(["is anybody there"])
        start = time.monotonic()
        for _ in range(50):  # the breaker is open: nobody waits
            with pytest.raises(ScreeningDown):
                client.screen_image(png())
        assert time.monotonic() - start < 1.0
    assert len(client.embed(["is anybody there"])) == 1


def test_a_killed_process_is_started_again(stack: Stack) -> None:
    pid = stack.pid("screening")
    stack.kill("screening")
    deadline = time.monotonic() + 30
    while stack.pid("screening") in {pid, None} or stack.states()["screening"] != "ready":
        assert time.monotonic() < deadline, "the supervisor did not start it again"
        time.sleep(0.1)
    client.forget()
    assert len(client.embed(["back again"])) == 1


def test_a_model_file_that_is_not_the_examined_one_closes_its_half_alone(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("models") / "open-nsfw.onnx"
    other.write_bytes(b"something else")
    stack.restart("screening", {**REAL, "EASEL_SCREENING_IMAGE_MODEL": str(other)})
    try:
        client.forget()
        assert len(client.embed(["texts are read"])) == 1
        with pytest.raises(ScreeningDown, match="image model"):
            client.screen_image(png())
    finally:
        stack.restart("screening", REAL)
        client.forget()
    assert client.screen_image(png()).phash


def test_nobody_asks_without_the_secret() -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(f"{settings.SCREENING_URL}/texts", b'{"texts": ["x"]}', headers))
        assert refused.value.code == 401


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"texts": "x"}', b'{"texts": [1]}', b'{"texts": ["' + b"x" * 9000 + b'"]}']
)
def test_a_question_that_is_none_is_a_400(body: bytes) -> None:
    headers = {"Authorization": f"Bearer {settings.SCREENING_SECRET}"}
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(f"{settings.SCREENING_URL}/texts", body, headers))
    assert refused.value.code == 400


def test_its_metrics_tell_nothing_of_what_was_asked() -> None:
    client.embed(["an unmistakable zebra crossing"])
    with urlopen(f"{settings.SCREENING_URL}/metrics") as answer:
        text = answer.read().decode()
    assert "easel_screening_answered_total" in text
    assert "zebra" not in text


def test_asking_needs_no_numpy() -> None:
    """The web process asks, and its image has none."""
    code = "import sys, moderation.screening.client; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
