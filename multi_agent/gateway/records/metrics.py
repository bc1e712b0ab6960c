"""What a gateway measures."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from contracts.runtime.bounded_names import BoundedNames
from multi_agent.gateway.request_line import RequestLine

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_NAME: Final = "multi_agent_gateway"
_MOST_MODELS: Final = 100


class GatewayMetrics:
    """Prometheus series of one gateway, in the process-wide registry by default."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        seconds = partial(Histogram, labelnames=["model"], buckets=_SECONDS, registry=registry)
        ended, made = ["format", "model", "outcome"], ["model", "kind"]
        self._requests = counter(f"{_NAME}_requests", "Requests by how they ended.", ended)
        self._tokens = counter(f"{_NAME}_tokens", "Tokens that services counted.", made)
        self._first = seconds(f"{_NAME}_first_seconds", "Time until the first bytes of a stream in seconds.")
        self._seconds = seconds(f"{_NAME}_seconds", "Time of a request that was answered in seconds.")
        self._streams = gauge(f"{_NAME}_open_streams", "Streams under way.", multiprocess_mode="livesum")
        self._dropped = counter(f"{_NAME}_dropped_records", "Requests that the request log does not have.")
        self._left = gauge(
            f"{_NAME}_limit_left",
            "What is left of a limit of a key, in dollars, tokens or requests.",
            ["key", "limit"],
            multiprocess_mode="livemostrecent",
        )
        self._named = BoundedNames(_MOST_MODELS)

    def ended(self, line: RequestLine) -> None:
        """Count a request."""
        prepared = line.prepared
        model = self._named(str(prepared.address)) if prepared and line.tries else ""
        outcome = line.failure.kind if line.failure else "cancelled" if line.is_cancelled else "ok"
        self._requests.labels(line.format, model, outcome).inc()
        if line.usage:
            self._tokens.labels(model, "input").inc(line.usage.given)
            self._tokens.labels(model, "output").inc(line.usage.made)
            # A part of the input.
            self._tokens.labels(model, "cached_input").inc(line.usage.cached)
        if model and outcome == "ok":
            self._seconds.labels(model).observe(line.ms / 1_000)
            if prepared and prepared.streams and line.first_ms is not None:
                self._first.labels(model).observe(line.first_ms / 1_000)

    def streaming(self) -> AbstractContextManager[object]:
        """Count a stream as open while the block runs."""
        return self._streams.track_inprogress()

    def dropped(self, records: int) -> None:
        self._dropped.inc(records)

    def left(self, key: str, limit: str, amount: float) -> None:
        self._left.labels(key, limit).set(amount)
