"""The artifact store: every task's outcome as a Git commit.

`open_store` gives the asynchronous store behind contracts.ports.ArtifactStore; `ArtifactStore` is a small
one for callers without asyncio (multi_agent.facade.artifacts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from artifacts.git.creation import create_store
from artifacts.store.checkout import CommitInfo
from artifacts.store.git_store import GitArtifactStore, open_store
from contracts.base.services import provided

__all__ = ["ArtifactStore", "CommitInfo", "GitArtifactStore", "create_store", "open_store"]

__getattr__: Callable[[str], Any] = provided(__name__, "ArtifactStore")
