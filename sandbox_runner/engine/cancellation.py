"""Work that a cancellation must not cut short, such as removing a sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def run_to_completion(work: Coroutine[Any, Any, _T]) -> _T:
    """Await `work` to its end even if the caller is cancelled. The cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:  # noqa: BLE001,S110,RUF100 - raised by task.result() below
            pass
    if cancelled is not None:
        raise cancelled
    return task.result()
