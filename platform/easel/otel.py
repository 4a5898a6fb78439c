"""`easel.tracing` by OpenTelemetry. Imported only where traces are wanted.

The SDK reads its own OTEL_ variables: headers, limits, and the sampler. Trace ids are hashes, so that every process
decides alike with OTEL_TRACES_SAMPLER=traceidratio.
"""

from contextvars import ContextVar, Token
from typing import Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from easel import __version__
from easel.tracing import Attributes, root_id, trace_id

_KINDS: Final = {"webhook": SpanKind.CLIENT, "store.put": SpanKind.CLIENT, "queue": SpanKind.CONSUMER}
_root_of: ContextVar[str] = ContextVar("root_of", default="")


def exporting(endpoint: str, *, process: str) -> "OpenTelemetry":
    """`endpoint` is an OTLP receiver's address for HTTP, such as http://collector:4318."""
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    return OpenTelemetry(exporter, process=process, batched=True)


class OpenTelemetry:
    """A `tracing.Pen`. Spans go to `exporter`, from a thread of its own where they are `batched`."""

    def __init__(self, exporter: SpanExporter, *, process: str, batched: bool = False) -> None:
        resource = Resource.create({"service.name": "easel", "service.version": __version__, "easel.process": process})
        self._provider = TracerProvider(resource=resource, id_generator=_Ids())
        self._provider.add_span_processor(BatchSpanProcessor(exporter) if batched else SimpleSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("easel", __version__)

    def root(self, name: str, request_id: str) -> "OpenSpan":
        chosen = _root_of.set(request_id)
        try:
            return OpenSpan(self._tracer.start_span(name, context=Context(), kind=SpanKind.SERVER))
        finally:
            _root_of.reset(chosen)

    def child(self, name: str, request_id: str, attributes: Attributes, began: float | None) -> "OpenSpan | None":
        above: Context | None = None  # the current one
        if not trace.get_current_span().get_span_context().is_valid:
            if not request_id:
                return None
            far = SpanContext(trace_id(request_id), root_id(request_id), True, TraceFlags(TraceFlags.SAMPLED))
            above = trace.set_span_in_context(NonRecordingSpan(far), Context())
        kind = _KINDS.get(name, SpanKind.INTERNAL)
        started = self._tracer.start_span(
            name, context=above, kind=kind, attributes=dict(attributes), start_time=_nanoseconds(began)
        )
        return OpenSpan(started, current=began is None)

    def close(self) -> None:
        self._provider.shutdown()


class OpenSpan:
    """The current span of its context, until it ends."""

    def __init__(self, span: trace.Span, *, current: bool = True) -> None:
        self._span = span
        self._token: Token[Context] | None = contexts.attach(trace.set_span_in_context(span)) if current else None

    def say(self, name: str | None = None, /, **attributes: str | int | float | bool) -> None:
        if name is not None:
            self._span.update_name(name)
        for key, value in attributes.items():
            self._span.set_attribute(key.replace("__", "."), value)

    def end(self, error: BaseException | None = None, *, at: float | None = None) -> None:
        if error is not None:  # its kind alone: a message may quote what somebody sent
            self._span.set_attribute("error.type", type(error).__qualname__)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(_nanoseconds(at))
        if self._token is not None:
            contexts.detach(self._token)


class _Ids(RandomIdGenerator):
    """Of a request's root: derived from the request's id. All others: random."""

    def generate_trace_id(self) -> int:
        request_id = _root_of.get()
        return trace_id(request_id) if request_id else super().generate_trace_id()

    def generate_span_id(self) -> int:
        request_id = _root_of.get()
        return root_id(request_id) if request_id else super().generate_span_id()


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1e9)
