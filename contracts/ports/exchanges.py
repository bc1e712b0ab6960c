"""The store of model exchanges, which keeps an answer from being paid for twice."""

from __future__ import annotations

from typing import Final, Protocol

ASKED_ANEW: Final = "its answers led to a failure; a person asks for others"
"""What a request says of an earlier attempt where no answer that was kept elsewhere will do."""


class ExchangeStore(Protocol):
    """Bytes kept durably under (workflow, task, key). Raises ArtifactError; StoreUnavailable for a remote."""

    async def save_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> None:
        """Store the content; it is durable when this returns. The last one saved under a key counts."""

    async def create_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> bool:
        """Store the content unless there is another under the key; whether it is there now, durably.

        Of several that create one key at once, with contents of their own, one succeeds.
        """

    async def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None:
        """The content saved last under the key, None when there is none."""
