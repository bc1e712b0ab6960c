"""Mistakes that people make: what is typed where, and how it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from multi_agent.runtime.locks import FileLock
from tests.cli.unserved import DATA, unserved
from tests.orchestrator.plans import item

COMMAND: Final = (sys.executable, "-P", "-m", "multi_agent.cli")
WORKFLOW: Final = "create-a-slug-1a2b3c"
_PROGRAM: Final = str(Path(sys.executable).with_name("multi-agent"))
_SECONDS: Final = 60

CYCLE: Final = """{"todo_list_id": "p", "request": "x", "items": [
  {"task_id": "a", "title": "A", "description": "d", "agent_role": "coder", "dependencies": ["b"]},
  {"task_id": "b", "title": "B", "description": "d", "agent_role": "coder", "dependencies": ["a"]}]}"""

Prepare = Callable[[Path], AbstractContextManager[object] | None]
"""Makes a folder the place of the mistake; holds what it returns meanwhile."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake."""

    what: str
    words: tuple[str, ...]
    code: int
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Prepare = lambda _folder: None


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended, with what differs from machine to machine left out."""

    code: int
    said: str


def _no_commits(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", "repo"], cwd=folder, check=True)


def _plain_folder(folder: Path) -> None:
    (folder / "repo").mkdir()


def _cycle(folder: Path) -> None:
    (folder / "plan.json").write_text(CYCLE)


def _old_work(folder: Path) -> None:
    unserved(folder, WORKFLOW, item("code"))


def _file(folder: Path) -> None:
    (folder / DATA).write_text("notes")


class _Served:
    """Somebody else serves the folder."""

    def __init__(self, folder: Path) -> None:
        (folder / DATA).mkdir()
        self._lock = FileLock(folder / DATA / "stack.lock")

    def __enter__(self) -> None:
        assert self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _taken_port(_folder: Path) -> socket.socket:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", TAKEN_PORT))
    taken.listen()
    return taken


TAKEN_PORT: Final = 19_471
SLUG: Final = "Create a function that makes slugs"
NO_REDIS: Final = {"REDIS_URL": "redis://127.0.0.1:1/0"}

OF_USERS: Final = (
    Mistake("a command with a letter too many", ("runn", SLUG), 2),
    Mistake("no request", ("run",), 2),
    Mistake("a request of one's own, and no model is set", ("run", SLUG), 2),
    Mistake("a model of a kind that is not known", ("run", SLUG, "--model", "gpt:4"), 2),
    Mistake("a model without its key", ("run", SLUG, "--model", "gemini:gemini-2.5-pro"), 2),
    Mistake(
        "a budget in dollars without prices",
        ("run", SLUG, "--model", "openai:local", "--budget", "2.50"),
        2,
        {"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"},
    ),
    Mistake(
        "a folder that is no Git repository",
        ("run", SLUG, "--model", "manual:answers", "--repo", "repo"),
        2,
        prepare=_plain_folder,
    ),
    Mistake(
        "a repository without a commit",
        ("run", SLUG, "--model", "manual:answers", "--repo", "repo"),
        2,
        prepare=_no_commits,
    ),
    Mistake(
        "an issue at a server that is not known", ("run", "--issue", "https://git.me.org/me/tool/issues/7"), 2
    ),
    Mistake("a change before there is one", ("apply", "--repo", "."), 2, prepare=_old_work),
    Mistake("a plan whose tasks wait for each other", ("plan", "--check", "plan.json"), 2, prepare=_cycle),
    Mistake("a plan that is not there", ("run", "--plan", "plan.yaml"), 2),
    Mistake("a workflow that does not exist", ("status", "slug-9"), 2, prepare=_old_work),
    Mistake("nothing was run in this folder yet", ("status",), 2),
    Mistake(
        "a result before there is one", ("artifacts", WORKFLOW, "--checkout", "out"), 2, prepare=_old_work
    ),
    Mistake("agents in a module that is not there", ("run", SLUG, "--agents", "my_agents"), 2),
)

OF_OPERATORS: Final = (
    Mistake("Redis does not answer", ("up",), 1, NO_REDIS),
    Mistake("an address that is none of Redis", ("up",), 2, {"REDIS_URL": "http://127.0.0.1:6379"}),
    Mistake("a database of another kind", ("up",), 2, {"DATABASE_URL": "mysql://db/agents"}),
    Mistake(
        "PostgreSQL does not answer", ("status",), 1, {"DATABASE_URL": "postgresql://me@127.0.0.1:1/agents"}
    ),
    Mistake("the data folder is a file", ("up",), 2, prepare=_file),
    Mistake("the folder is served already", ("up",), 2, prepare=_Served),
    Mistake(
        "the port of metrics is taken", ("up", "--metrics-port", str(TAKEN_PORT)), 2, prepare=_taken_port
    ),
    Mistake("a worker that knows no Redis", ("worker",), 2),
    Mistake("a worker for a role that has no agent", ("worker", "--role", "painter"), 2, NO_REDIS),
    Mistake(
        "a gateway that others reach, without keys for them",
        ("gateway", "--model", "openai:gpt-5", "--host", "0.0.0.0"),
        2,
        {"OPENAI_API_KEY": "a-key"},
    ),
    Mistake("a gateway's log where no gateway was", ("debug", "requests"), 2),
    Mistake("a gateway without a model", ("gateway",), 2),
    Mistake(
        "a rollout that others reach, without a token for them", ("rollout", "serve", "--host", "0.0.0.0"), 2
    ),
    Mistake("a stage is left although its gate is closed", ("rollout", "promote", "--closed"), 2),
    Mistake("a number that is none", ("up",), 2, {"MULTI_AGENT_WORKERS": "many"}),
    Mistake("a number above its limit", ("up", "--workers", "1000"), 2),
    Mistake(
        "Docker is asked for and not there",
        ("run", SLUG, "--model", "manual:answers", "--sandbox", "docker"),
        2,
        {"DOCKER_HOST": "unix:///nonexistent/docker.sock"},
    ),
)


def tried(mistake: Mistake, folder: Path) -> Ended:
    """Make the mistake in an empty folder."""
    held = mistake.prepare(folder)
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "LANG": "C.UTF-8", **mistake.env}
    with held if held is not None else nullcontext():
        ended = subprocess.run(
            [*COMMAND, *mistake.words],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    said = ended.stderr[ended.stderr.index("Error: ") :] if "Error: " in ended.stderr else ended.stderr
    said = said.replace(str(folder), "/home/me/project").replace(_PROGRAM, "multi-agent")
    return Ended(ended.returncode, said.replace(" ".join(COMMAND[1:]), "multi-agent").strip())
