"""The metrics of what asks models."""

from __future__ import annotations

from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from contracts.runtime.bounded_names import BoundedNames

_MOST_MODELS: Final = 100
_SECONDS: Final = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class ModelMetrics:
    """Questions to models, each try of one by itself."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._model = BoundedNames(_MOST_MODELS)
        self._requests = Counter(
            "multi_agent_model_requests",
            "Questions to models by how they ended, each try by itself",
            ["model", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "multi_agent_model_seconds",
            "Time until a model has answered whole, in seconds",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )

    def seen(self, model: str, outcome: str, seconds: float) -> None:
        """Count a try."""
        name = self._model(model)
        self._requests.labels(name, outcome).inc()
        if outcome == "ok":
            self._seconds.labels(name).observe(seconds)
