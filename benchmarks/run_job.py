"""Runs one job in a process of its own: `python -m benchmarks.run_job JOB.json ANSWER.json`.

A job names a `function` as `MODULE:NAME` and the `folder` that it may use; its other keys are for the
function. The answer is what the function returns, or the reason of its failure under the key `failed`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
import traceback
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the job and write the answer."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    try:
        answer = _do(job)
    except ModuleNotFoundError as error:
        answer = {"failed": f"not installed: {error.name}"}
    except Exception as error:
        traceback.print_exc()
        answer = {"failed": _said(error)}
    Path(sys.argv[2]).write_text(json.dumps(answer), "utf-8")


def _do(job: dict[str, Any]) -> Any:
    module, _, name = job["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    answer = function(job, Path(job["folder"]))
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer


def _said(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:1_500]


if __name__ == "__main__":
    main()
