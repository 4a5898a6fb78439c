"""One trace from the POST to the stored picture and its webhook, over what are three processes in a fleet."""

import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from easel import tracing
from easel.database import platform_role
from easel.otel import OpenTelemetry
from generation.production import Production
from tenants.delivery import Courier
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, until
from tests.web.receiver import answering, receiver

POST = "POST v1/generations"


@pytest.fixture
def written() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    pen = OpenTelemetry(exporter, process="test")
    tracing.use(pen)
    yield exporter
    tracing.use(None)
    pen.close()


def spans(exporter: InMemorySpanExporter, request_id: str) -> list[ReadableSpan]:
    found = exporter.get_finished_spans()
    return [each for each in found if each.context and each.context.trace_id == tracing.trace_id(request_id)]


def name_of_parent(span: ReadableSpan, all_: list[ReadableSpan]) -> str | None:
    names = {each.context.span_id: each.name for each in all_ if each.context}
    return names[span.parent.span_id] if span.parent else None


def test_one_trace_leads_from_the_post_to_the_stored_picture_and_the_webhook(
    written: InMemorySpanExporter,
    production: Production,
    workshop: Workshop,
    ada: Customer,
) -> None:
    request_id = f"order-{uuid4().hex}"
    with receiver(answering("204 No Content")) as (port, told), override_settings(OUTBOUND_ALLOW=["127.0.0.1/32"]):
        body = workshop.body(webhook_url=f"http://127.0.0.1:{port}/done", n=2, prompt="a secret garden")
        answer = ada.client().post("/v1/generations", body, format="json", HTTP_X_REQUEST_ID=request_id)
        assert answer.status_code == 202, answer.content
        production.drain(workshop.pool)
        assert ended(UUID(answer.json()["id"])).status == "completed"
        courier = Courier()
        with platform_role():
            until(lambda: courier.round() or told)
        courier.close()
    found = spans(written, request_id)
    tree = sorted((each.name, name_of_parent(each, found)) for each in found)
    assert tree == sorted(
        [
            (POST, None),
            ("submit", POST),
            ("bell", "submit"),
            ("queue", POST),
            *[("slot", "finish"), ("finish", POST), ("store.put", "finish")] * 2,
            ("end", "finish"),
            ("webhook", POST),
        ]
    )
    by_name = {each.name: each for each in found}
    for earlier, later in ((POST, "queue"), ("queue", "slot"), ("slot", "store.put"), ("store.put", "webhook")):
        assert (by_name[earlier].start_time or 0) <= (by_name[later].start_time or 0), (earlier, later)
    slot = by_name["slot"].attributes or {}
    assert (slot["easel.generation"], slot["easel.tenant"]) == (answer.json()["id"], str(ada.id))
    assert (by_name[POST].attributes or {})["http.response.status_code"] == 202
    assert "secret garden" not in str([each.to_json() for each in found])


def test_an_error_marks_its_span_by_its_kind_and_quotes_nothing(written: InMemorySpanExporter) -> None:
    with pytest.raises(RuntimeError), tracing.span("end", request_id="order-1"):
        raise RuntimeError("somebody's words")
    (span,) = spans(written, "order-1")
    assert (not span.status.is_ok, (span.attributes or {})["error.type"]) == (True, "RuntimeError")
    assert "somebody's words" not in span.to_json()


def test_what_belongs_to_no_request_makes_no_trace(written: InMemorySpanExporter) -> None:
    with tracing.span("bell"):
        pass
    assert not written.get_finished_spans()


def test_off_is_the_default_and_loads_no_exporter() -> None:
    code = "import django; django.setup(); from easel import tracing; tracing.start(); import sys; "
    code += "assert tracing._pen is None; assert 'easel.otel' not in sys.modules; "
    code += "assert not [m for m in sys.modules if m.startswith('opentelemetry.exporter')]"  # redis looks for the SDK
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_endpoint_without_the_packages_stops_the_process_with_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "easel.otel", None)
    with (
        override_settings(OTLP_ENDPOINT="http://127.0.0.1:1"),
        pytest.raises(ImproperlyConfigured, match=r"requirements/tracing\.txt"),
    ):
        tracing.start()


def test_the_command_prints_where_to_look() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "easel.tracing", "order-1"], capture_output=True, text=True, check=True
    ).stdout
    assert int(said, 16) == tracing.trace_id("order-1")
