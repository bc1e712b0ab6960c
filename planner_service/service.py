"""The synchronous planner, and writing plans to files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Self

from contracts.base.errors import InvalidInput
from contracts.base.loop_thread import LoopThread
from contracts.documents.todo_list import TodoList
from contracts.ports.model import ModelClient
from planner_service.planning import Planner


class PlannerService:
    """A planner for callers without an event loop, or with one of their own.

    All work happens on one event loop in one thread of its own, since a model client's connections belong to
    the loop that opened them. `close`, or leaving the `with` block, closes the model client too.
    """

    def __init__(self, source: ModelClient | Planner, output_dir: Path | str | None = None) -> None:
        """Plans come from `source`; if there is an `output_dir` they are also written there."""
        self._planner = source if isinstance(source, Planner) else Planner(source)
        self._output_dir = None if output_dir is None else Path(output_dir)
        self._thread = LoopThread()
        self._closed = False

    def create_plan(self, text: str) -> dict[str, Any]:
        """A plan for the request as a JSON-ready dict. Raises what `Planner.plan` raises; InvalidInput for a
        folder that cannot be written."""
        plan = self._thread.run(self._planner.plan(text))
        if self._output_dir is not None:
            write_plan(plan, self._output_dir)
        return plan.model_dump(mode="json")

    def close(self) -> None:
        """Close the model client and end the thread. Again is a no-op."""
        if not self._closed:
            self._closed = True
            self._thread.run(self._planner.close())
            self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_plan(plan: TodoList, folder: Path) -> Path:
    """Write `<todo_list_id>.json` in `folder` atomically and return its path.

    Raises InvalidInput when the folder cannot be made or written.
    """
    target = folder / f"{plan.todo_list_id}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=folder, suffix=".tmp", encoding="utf-8", delete=False
        ) as file:
            try:
                file.write(plan.model_dump_json(indent=2) + "\n")
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.replace(file.name, target)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise InvalidInput(f"the plan cannot be written to {target}: {error.strerror}") from None
    return target
