"""While a model and its fallback cannot draw, a backup service does: anybody's images endpoint, or another Easel."""

import base64
import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.conf import settings
from django.test import override_settings
from PIL import Image as PILImage

from easel.database import changed, platform_role
from generation import availability
from generation.engine.backup import WARNING, BackupEngine, Service
from generation.engine.protocol import Admission, Checkpoint, Drawing, DrawingStopped, EngineError
from generation.models import Model
from generation.registry import register_backup
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, make_production, row, until
from tests.generation.test_endings import money
from tests.generation.test_fallback import change, reroute


class Elsewhere(BaseHTTPRequestHandler):
    """Somebody's images endpoint, and as much of another Easel as we call."""

    asked: list[dict[str, Any]] = []
    status = 200
    error: dict[str, Any] = {}
    knows_us = True
    ended = ""  # how another Easel's generation ends without a picture
    answers = threading.Event()  # until then a picture takes its time

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/oauth/token":
            return self._json({"access_token": "elsewhere"}, 200 if self.knows_us else 400)
        told = {"token": self.headers["Authorization"], "key": self.headers["Idempotency-Key"]}
        self.asked.append(json.loads(body) | {"path": self.path} | told)
        if type(self).status != 200:
            return self._json(self.error, type(self).status)
        if self.path == "/v1/generations":
            return self._json({"id": "17"}, 202)
        self.answers.wait(30)
        return self._json({"data": [{"b64_json": base64.b64encode(picture()).decode()}]}, 200)

    def do_GET(self) -> None:
        assert self.path == "/v1/generations/result/17"
        if self.ended and self.headers["Accept"] == "application/json":
            return self._json({"status": self.ended}, 200)
        if self.ended:
            return self._json({"code": "not_found"}, 404)
        self._send(picture(), 200, "image/png")

    def log_message(self, *words: Any) -> None:
        pass

    def _json(self, body: dict[str, Any], status: int) -> None:
        self._send(json.dumps(body).encode(), status, "application/json")

    def _send(self, body: bytes, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def picture() -> bytes:
    file = io.BytesIO()
    PILImage.new("RGB", (128, 128), (10, 200, 30)).save(file, "png")
    return file.getvalue()


@pytest.fixture
def elsewhere() -> Iterator[str]:
    Elsewhere.asked, Elsewhere.status, Elsewhere.error = [], 200, {"error": {"message": "no"}}
    Elsewhere.knows_us, Elsewhere.ended = True, ""
    Elsewhere.answers.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def drawing(**fields: Any) -> Drawing:
    known: dict[str, Any] = {
        "image_id": uuid4(), "checkpoint": Checkpoint(name="backup", source=""), "prompt": "a red apple",
        "negative_prompt": "", "steps": 7, "width": 64, "height": 64, "cfg_scale": 7.0, "sampler": "Euler", "seed": 3,
    }  # fmt: skip
    return Drawing(**known | fields)


def draw(service: Service, **fields: Any) -> Any:
    engine = BackupEngine(service)
    try:
        admission = Admission(drawing=drawing(**fields), on_step=lambda done, total: None, stop=threading.Event())
        return engine.admit(admission).result(timeout=30)
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("kind", "key", "path", "token"),
    [("openai", "sk-1", "/v1/images/generations", "Bearer sk-1"),
     ("easel", "ek_live_1:es_2", "/v1/generations", "Bearer elsewhere")],
)  # fmt: skip
def test_a_picture_comes_from_elsewhere_at_the_size_that_was_asked_for(
    elsewhere: str, kind: str, key: str, path: str, token: str
) -> None:
    drawn = draw(Service(kind=kind, url=elsewhere, key=key, model="big"))
    assert drawn.pixels.shape == (64, 64, 3)
    assert tuple(drawn.pixels[0, 0]) == (10, 200, 30)
    assert drawn.warnings == [WARNING]
    (asked,) = Elsewhere.asked
    assert (asked["path"], asked["token"], asked["model"], asked["prompt"]) == (path, token, "big", "a red apple")


def refusal(url: str, kind: str = "openai") -> tuple[str, bool]:
    with pytest.raises(EngineError) as raised:
        draw(Service(kind=kind, url=url, key="", model=""))
    return raised.value.code, raised.value.permanent


@pytest.mark.parametrize(
    ("status", "permanent"), [(401, True), (402, True), (403, True), (404, True), (429, False), (500, False)]
)
def test_a_failure_knows_whether_another_attempt_helps(elsewhere: str, status: int, permanent: bool) -> None:
    Elsewhere.status = status
    assert refusal(elsewhere) == ("model_unavailable", permanent)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {}),
        (413, {}),
        (422, {"code": "content_rejected"}),
        (403, {"error": {"code": "moderation_blocked"}}),
        (403, {"code": "content_rejected"}),
    ],
)
def test_what_it_will_not_draw_says_nothing_of_its_health(elsewhere: str, status: int, error: dict[str, Any]) -> None:
    Elsewhere.status, Elsewhere.error = status, error
    assert refusal(elsewhere) == ("backup_refused", True)


@pytest.mark.parametrize(
    ("ended", "code"),
    [("rejected", "backup_refused"), ("in_review", "backup_refused"), ("failed", "model_unavailable")],
)
def test_another_easel_that_ends_without_a_picture_is_asked_why(elsewhere: str, ended: str, code: str) -> None:
    Elsewhere.ended = ended
    assert refusal(elsewhere, "easel") == (code, True)


def test_another_easel_that_gives_no_token_is_out_of_service_for_everybody(elsewhere: str) -> None:
    Elsewhere.knows_us = False
    assert refusal(elsewhere, "easel") == ("model_unavailable", True)


def test_a_repeated_drawing_finds_what_another_easel_has_begun_for_it(elsewhere: str) -> None:
    service, image_id = Service(kind="easel", url=elsewhere, key="ek_live_1:es_2", model=""), uuid4()
    for seed in (3, 3, 4):
        draw(service, image_id=image_id, seed=seed)
    draw(service, seed=3)
    first, again, next_one, other = (asked["key"] for asked in Elsewhere.asked)
    assert first == again
    assert len({first, next_one, other}) == 3


def test_a_drawing_that_starts_from_a_picture_is_refused_for_good_and_nobody_is_asked(elsewhere: str) -> None:
    with pytest.raises(EngineError) as raised:
        draw(Service(kind="openai", url=elsewhere, key="", model=""), init_image=np.zeros((8, 8, 3), dtype=np.uint8))
    assert (raised.value.code, raised.value.permanent) == ("init_image_unsupported", True)
    assert Elsewhere.asked == []


def test_a_stop_does_not_wait_for_a_service_that_takes_its_time(elsewhere: str) -> None:
    Elsewhere.answers.clear()
    engine = BackupEngine(Service(kind="openai", url=elsewhere, key="", model=""))
    admission = Admission(drawing=drawing(), on_step=lambda done, total: None, stop=threading.Event())
    future = engine.admit(admission)
    until(lambda: Elsewhere.asked)
    engine.close()
    try:
        assert isinstance(future.exception(timeout=1), DrawingStopped)
        assert engine.wait_for_slot(timeout=0) == 0
        assert isinstance(engine.admit(admission).exception(timeout=1), DrawingStopped)
        asking = [thread for thread in threading.enumerate() if thread.name.startswith("backup")]
        assert all(thread.daemon for thread in asking)  # or the process would wait for it at its end
    finally:
        Elsewhere.answers.set()


def test_a_service_that_is_away_may_be_back_later() -> None:
    with pytest.raises(EngineError) as raised:
        draw(Service(kind="openai", url=f"http://127.0.0.1:{closed_port()}", key="", model=""))
    assert not raised.value.permanent


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def standing_in(url: str) -> Iterator[Model]:
    """The backup service as operators set it, for one test."""
    with override_settings(BACKUP={"kind": "openai", "url": url, "key": "", "model": "big"}), platform_role():
        model = register_backup()
        assert model is not None
    try:
        yield model
    finally:
        with override_settings(BACKUP={"kind": "", "url": "", "key": "", "model": ""}), platform_role():
            register_backup()
            changed("DELETE FROM generation_cachedresult WHERE model_id = %s", [model.id])


def shut(workshop: Workshop) -> None:
    for _ in range(settings.BREAKER_FAILURES):
        availability.report(workshop.model.id, uuid4(), label="model:test", ok=False)


def test_it_takes_over_when_nothing_of_ours_draws_and_the_answer_says_so(
    ada: Customer, workshop: Workshop, elsewhere: str
) -> None:
    with standing_in(elsewhere) as backup:
        assert ada.client().post("/v1/generations", workshop.body(model="backup"), format="json").status_code == 400
        shut(workshop)
        answer = ada.client().post("/v1/generations", workshop.body(), format="json").json()
        assert (answer["model"], answer["fallback_from"]) == ("backup", workshop.model.name)
        refused = ada.client().post("/v1/generations", workshop.body(fallback=False), format="json")
        assert refused.status_code == 503
        production = make_production(BackupEngine(Service(kind="openai", url=elsewhere, key="", model="big")))
        try:
            production.drain(backup.pool.name)
            generation = ended(UUID(answer["id"]))
        finally:
            production.close()
    assert generation.status == "completed"
    assert WARNING in generation.warnings
    money(ada)


@pytest.mark.parametrize(
    ("status", "code", "opens"), [(400, "backup_refused", False), (401, "model_unavailable", True)]
)
def test_requests_that_it_refuses_fail_alone_and_a_service_that_refuses_us_is_left_alone(
    ada: Customer, workshop: Workshop, elsewhere: str, status: int, code: str, opens: bool
) -> None:
    Elsewhere.status = status
    with standing_in(elsewhere) as backup, override_settings(BREAKER_OPEN_SECONDS=60):
        shut(workshop)
        breaker = availability.breaker_of(backup.id)
        engine = BackupEngine(Service(kind="openai", url=elsewhere, key="", model="big"))
        try:
            with closing(make_production(engine)) as production:  # once it is closed, all was reported
                refused = [workshop.submit(ada, seed=seed) for seed in range(settings.BREAKER_FAILURES)]
                production.drain(backup.pool.name)
                assert {ended(each).error_code for each in refused} == {code}
            assert breaker.state().open == opens
        finally:
            breaker.reset()
    assert money(ada) == (10_000, 0)


def test_it_does_not_take_over_what_starts_from_a_picture(ada: Customer, workshop: Workshop, elsewhere: str) -> None:
    given = base64.b64encode(picture()).decode()
    with standing_in(elsewhere):
        shut(workshop)
        answer = ada.client().post("/v1/generations", workshop.body(init_image=given), format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "model_unavailable")
    assert money(ada) == (10_000, 0)


def test_what_waits_and_starts_from_a_picture_is_not_sent_there_either(
    ada: Customer, workshop: Workshop, elsewhere: str
) -> None:
    given = base64.b64encode(picture()).decode()
    of_words, of_picture = workshop.submit(ada), workshop.submit(ada, init_image=given)
    with standing_in(elsewhere) as backup, override_settings(BREAKER_OPEN_SECONDS=60):
        change(workshop, fallback=backup)
        shut(workshop)
        reroute(ada)
        assert [row(each).model_id for each in (of_words, of_picture)] == [backup.id, workshop.model.id]
        ada.client().post(f"/v1/generations/{of_words}/cancel")
