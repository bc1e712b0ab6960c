"""The artifact store: the outcome of every task as a Git commit.

`open_store` gives the asynchronous store, GitArtifactStore; `ArtifactStore` is a small blocking one for
scripts.
"""

from __future__ import annotations

from artifacts.facade import ArtifactStore
from artifacts.git.creation import create_store
from artifacts.store.git_store import GitArtifactStore, open_store
from artifacts.store.history import CommitInfo

__all__ = ["ArtifactStore", "CommitInfo", "GitArtifactStore", "create_store", "open_store"]
