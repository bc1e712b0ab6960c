"""The artifact store: every task's outcome as a Git commit.

`open_store` gives the asynchronous store behind contracts.ports.ArtifactStore; `ArtifactStore` is a small
blocking one for scripts.
"""

from __future__ import annotations

from artifacts.facade import ArtifactStore
from artifacts.git.creation import create_store
from artifacts.store.checkout import CommitInfo
from artifacts.store.git_store import GitArtifactStore, open_store

__all__ = ["ArtifactStore", "CommitInfo", "GitArtifactStore", "create_store", "open_store"]
