"""What the processes of `run` and `up` are forked from; no command for users.

Standard input is the socket of `multi_agent.runtime.forking.forked_processes`.
"""

from __future__ import annotations

import os
import socket
import sys
from importlib import import_module
from typing import Any, Final

from multi_agent.cli import collect_rarely, main
from multi_agent.runtime.forking.forked_children import Become, serve
from multi_agent.runtime.forking.shown_command import show_command

_PRELOADED: Final = (
    "multi_agent.cli.processes.orchestrator",
    "multi_agent.cli.processes.worker",
    "multi_agent.models",
    "orchestrator.service.orchestrator",
    "agents.worker.worker",
    "agents.worker.metrics",
    *(f"agents.roles.{role}" for role in ("architect", "coder", "tester", "debugger", "reviewer")),
    "multi_agent.bootstrap.planner_agent",
    "artifacts",
    "contracts.bus.redis_bus",
    "sandbox_runner.choose",
)


def _prepare() -> tuple[Any, Become]:
    for name in _PRELOADED:
        import_module(name)
    return None, _become


def _become(order: dict[str, Any]) -> int:
    """Run the command line as if it had been started as a new process; its exit code."""
    os.setsid()
    sink = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)
    os.environ.clear()
    os.environ.update(order["env"])
    argv = order["argv"]
    show_command(argv)
    sys.argv = ["multi-agent", *argv[argv.index("multi_agent.cli") + 1 :]]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _main() -> None:
    collect_rarely()
    client = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    show_command([sys.executable, "-P", "-m", "multi_agent.cli.processes.forked"])
    serve(client, os.getppid(), _prepare)


if __name__ == "__main__":
    _main()
