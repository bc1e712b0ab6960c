"""What all layers have in common."""

from __future__ import annotations

from contracts.ports.model import ModelClient


class Wrapper:
    """A model client around another, whose name it bears and which it closes."""

    def __init__(self, inner: ModelClient) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    async def close(self) -> None:
        await self._inner.close()
