"""Sends spans by OTLP over HTTP, with OpenTelemetry's own exporter: the extra `otel`, loaded when used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from contracts.base.errors import NotConfigured, Unavailable
from contracts.base.secrets.patterns import without_secret_patterns
from multi_agent.telemetry.tracing.conventions import SCHEMA_URL
from multi_agent.telemetry.tracing.spans import MODEL_CALL, Span, SpanStatus

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_AT_ONCE: Final = 500
_MOST_MESSAGE: Final = 1_000
_NANOSECONDS: Final = 1_000_000_000


class OtlpExporter:
    """Sends spans that have ended. Blocking.

    Headers, time limit, certificates and compression are those of the variables OTEL_EXPORTER_OTLP_*. No text
    of requests or answers is sent; error messages are, without what looks like a secret.
    """

    def __init__(self, endpoint: str) -> None:
        """endpoint: a URL, below which traces go to `v1/traces`. Raises NotConfigured without the extra."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
                OTLPSpanExporter,
            )
        except ImportError:
            said = "OTEL_EXPORTER_OTLP_ENDPOINT is set, and the extra `otel` is missing"
            raise NotConfigured(f"{said}: pip install 'multi-agent[otel]', or unset it") from None
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")

    def send(self, spans: Sequence[Span]) -> None:
        """Send those that have ended. Raises Unavailable when not all were accepted; send all again then."""
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415 - an extra

        ended = [_readable(span) for span in spans if span.end is not None]
        for start in range(0, len(ended), _AT_ONCE):
            result = self._exporter.export(ended[start : start + _AT_ONCE])
            if result is not SpanExportResult.SUCCESS:
                raise Unavailable("the receiver of traces did not take them")

    def close(self) -> None:
        """Close its connections."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _readable(span: Span) -> ReadableSpan:
    from importlib.metadata import version  # noqa: PLC0415 - slow to load

    # Each of these is a part of the extra.
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags  # noqa: PLC0415

    def context(span_id: str) -> SpanContext:
        sampled = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(int(span.trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=sampled)

    release = version("multi-agent")
    codes = {SpanStatus.OK: StatusCode.OK, SpanStatus.ERROR: StatusCode.ERROR}
    code = codes.get(span.status, StatusCode.UNSET)
    # Only an error may have a description.
    message = without_secret_patterns(span.message)[:_MOST_MESSAGE] if code is StatusCode.ERROR else None
    named = span.attributes.get("gen_ai.agent.name") or span.attributes.get("gen_ai.tool.name")
    return ReadableSpan(
        f"{span.name} {named}" if named else span.name,
        context(span.span_id),
        None if span.parent_id is None else context(span.parent_id),
        Resource.create({"service.name": "multi-agent", "service.version": release}),
        dict(span.attributes),
        kind=SpanKind.CLIENT if span.name == MODEL_CALL else SpanKind.INTERNAL,
        status=Status(code, message),
        start_time=round(span.start * _NANOSECONDS),
        end_time=round((span.end or span.start) * _NANOSECONDS),
        instrumentation_scope=InstrumentationScope("multi-agent", release, SCHEMA_URL),
    )
