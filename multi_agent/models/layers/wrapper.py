"""The base of all layers."""

from __future__ import annotations

from contracts.ports.model import ModelClient


class Wrapper:
    """A model client around another one. It has the name of the inner client and closes it."""

    def __init__(self, inner: ModelClient) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    async def close(self) -> None:
        await self._inner.close()
