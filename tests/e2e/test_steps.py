"""Kill -9 between the steps of an agent: whoever takes over goes on behind the last one (I2, I4)."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli
from tests.e2e.person import write_answer
from tests.e2e.test_faults import processes

PLAN = {
    "todo_list_id": "steps",
    "request": "count",
    "items": [{"task_id": "code", "title": "count", "agent_role": "coder", "output_artifacts": ["counted"]}],
}
COUNT = "echo x >> counted; wc -l < counted"


def calls(tool: str, **arguments: str) -> dict[str, Any]:
    return {"thought": "so", "calls": [{"tool": tool, "arguments": arguments}]}


def test_killed_after_each_step_it_repeats_and_pays_nothing(cli: Cli) -> None:
    cli.write({"plan.json": json.dumps(PLAN), "repo/a.txt": "a\n"})
    git(cli.folder, "init", "-q", str(cli.folder / "repo"))
    commit_all(cli.folder / "repo")
    prompts = cli.folder / "prompts"
    words = ("--plan", "plan.json", "--repo", "repo", "--model", f"manual:{prompts}", "--watch-steps")
    process = cli.start("run", *words)
    for number in (1, 2):
        prompt = asked(cli, prompts, number)
        kill_workers(cli)
        write_answer(prompt, calls("run", command=COUNT))
    write_answer(asked(cli, prompts, 3), calls("finish", summary="counted to two"))
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    for number, call in ((1, f"run {COUNT}"), (2, f"run {COUNT}"), (3, "finish counted to two")):
        assert f"code (coder) step {number} of 60: {call}, ok" in output
    assert len(list(prompts.glob("*.prompt.md"))) == 3, "no question was asked twice"
    shown = asked(cli, prompts, 3).read_text()
    assert ["\n1\n```" in shown, "\n2\n```" in shown] == [True, True]
    cli("artifacts", "--checkout", "out")
    assert (cli.folder / "out/counted").read_text() == "x\nx\n"
    assert not (cli.folder / "repo/counted").exists()


def asked(cli: Cli, prompts: Path, number: int) -> Path:
    """The prompt with this number, once it is there."""
    found: Callable[[], list[Path]] = lambda: list(prompts.glob(f"{number:03}-*.prompt.md"))  # noqa: E731
    cli.until(lambda: bool(found()), f"prompt {number}")
    return found()[0]


def kill_workers(cli: Cli) -> None:
    """All processes of all workers, of which one waits for the answer."""
    for pid in processes(cli, "worker"):
        with suppress(ProcessLookupError):  # its keeper was killed before it, and it ended by itself
            os.kill(pid, signal.SIGKILL)
