"""Blocking calls of this package beside an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from contracts.base.errors import StoreUnavailable
from contracts.base.processes.shortage import shortage_as

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a blocking call. A process that has no thread, descriptor or child left for it has no store."""
    with shortage_as(StoreUnavailable):
        return await asyncio.to_thread(call, *args, **kwargs)
