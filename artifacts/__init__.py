"""The artifact store: the outcome of every task as a Git commit.

`open_store` gives the asynchronous store, GitArtifactStore; `ArtifactStore` is a small one for callers
without asyncio (multi_agent.facade.artifacts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from artifacts.git.creation import create_store
from artifacts.store.git_store import GitArtifactStore, open_store
from artifacts.store.history import CommitInfo
from artifacts.store.importing import find_base
from contracts.base.provided import provided

__all__ = ["ArtifactStore", "CommitInfo", "GitArtifactStore", "create_store", "find_base", "open_store"]

__getattr__: Callable[[str], Any] = provided(__name__, "ArtifactStore")
