"""Where plans are written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from contracts.base.errors import InvalidInput
from contracts.documents.todo_list import TodoList


def write_plan(plan: TodoList, folder: Path) -> Path:
    """Write `<todo_list_id>.json` below `folder`, whole or not at all, and return its path.

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
