"""Where a workflow's baseline is kept: in the artifact store, which every worker reaches."""

from __future__ import annotations

from typing import Final

from contracts.base.errors import InvalidDocument
from contracts.base.strict_json import validate
from contracts.documents.baseline import Baseline
from contracts.ports.exchanges import ExchangeStore

_TASK: Final = "baseline"
_KEY: Final = "baseline of the repository"
"""No key of a task's exchanges, were one called so."""


async def save_baseline(store: ExchangeStore, workflow_id: str, baseline: Baseline) -> None:
    """Keep the baseline of a workflow. Raises StoreUnavailable, ArtifactError."""
    await store.save_exchange(workflow_id, _TASK, _KEY, baseline.model_dump_json().encode())


async def load_baseline(store: ExchangeStore, workflow_id: str) -> Baseline | None:
    """The baseline of a workflow; None as long as it is not known. Raises StoreUnavailable, ArtifactError."""
    raw = await store.load_exchange(workflow_id, _TASK, _KEY)
    try:
        return None if raw is None else validate(Baseline, raw, "baseline")
    except InvalidDocument:
        return None
