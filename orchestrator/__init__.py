"""The owner of the state: decides, stores, dispatches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.facade import Orchestrator

__all__ = ["Orchestrator"]


def __getattr__(name: str) -> object:
    # Loaded when asked for: most of this package must import without the facade's services.
    if name == "Orchestrator":
        from orchestrator.facade import Orchestrator  # noqa: PLC0415

        return Orchestrator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
