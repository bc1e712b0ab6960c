"""The command line: parses, calls `multi_agent.application`, prints. One file a command, in rooms by subject.

Exit codes: 0 done, 1 the work failed, 2 wrong use or configuration, 3 waiting for a person,
4 busy: try again later, 130 interrupted.
"""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Mapping
from typing import Final

import click

from contracts.base.errors import Busy, InvalidInput, InvalidPlan, MultiAgentError, WaitsForPerson
from contracts.base.printing import close_errors, print_line, print_text
from multi_agent.cli.lazy import LazyCommand, LazyGroup

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_WAITING: Final = 3
EXIT_BUSY: Final = 4
EXIT_INTERRUPTED: Final = 130

_OBJECTS_BETWEEN_COLLECTIONS: Final = 100_000

# In the order in which a newcomer meets them.
_COMMANDS: Final[Mapping[str, LazyCommand]] = {
    "run": LazyCommand(
        "workflows.run:run", "Turn a request into tested code, here and now.", "runtime.forking.ahead:begin"
    ),
    "plan": LazyCommand("workflows.plan:plan", "Make a plan for a request and write it to a file."),
    "map": LazyCommand("repository.map:show_map", "Show which files of a repository a request is about."),
    "baseline": LazyCommand(
        "repository.baseline:show_baseline", "Run a repository's own tests before anything changes."
    ),
    "submit": LazyCommand("workflows.submit:submit", "Queue a plan for the orchestrator."),
    "status": LazyCommand("workflows.status:status", "Show workflows, or one with its tasks."),
    "watch": LazyCommand("workflows.watch:watch", "Follow a workflow until it ends."),
    "events": LazyCommand("workflows.events:events", "Print what happened, from the journal."),
    "artifacts": LazyCommand(
        "workflows.artifacts:artifacts", "List what a workflow produced, or check it out."
    ),
    "diff": LazyCommand("delivery.diff:diff", "Show what a workflow changed, as a patch."),
    "apply": LazyCommand("delivery.apply:apply", "Put what a workflow changed into your repository."),
    "pr": LazyCommand("delivery.pr:pull_request", "Open a pull or merge request, or update it."),
    "logs": LazyCommand("diagnosis.logs:logs", "Print the logs of the processes that serve a folder."),
    "observe": LazyCommand("diagnosis.observe:observe", "Log everything for a while."),
    "trace": LazyCommand("diagnosis.trace:trace", "Show where time, tokens and money went."),
    "why": LazyCommand("diagnosis.why:why", "Say what unfinished tasks wait for."),
    "verify": LazyCommand("diagnosis.verify:verify", "Check that nothing was lost, done twice or moved."),
    "approvals": LazyCommand("approvals.group:approvals", "Look at what waits for approval, and decide."),
    "approve": LazyCommand("decisions.approve:approve", "Allow exactly what you saw, once."),
    "reject": LazyCommand("decisions.reject:reject", "Refuse what waits for approval, for ever."),
    "answer": LazyCommand("decisions.answer:answer", "Answer what an agent asks."),
    "budget": LazyCommand("budget.group:budget", "Show and raise what workflows may spend."),
    "cancel": LazyCommand("decisions.cancel:cancel", "End a workflow."),
    "retry": LazyCommand("decisions.retry:retry", "Try failed tasks again."),
    "dead-letters": LazyCommand(
        "dead_letters.group:dead_letters", "Retry or discard what was dead-lettered."
    ),
    "audit": LazyCommand("audit.group:audit", "Show who decided what, and check that the log is whole."),
    "up": LazyCommand("processes.up:up", "Serve a data folder: everything, supervised, on this machine."),
    "orchestrator": LazyCommand("processes.orchestrator:orchestrator", "Run an orchestrator."),
    "worker": LazyCommand("processes.worker:worker", "Run a worker for some or all roles."),
    "gateway": LazyCommand("processes.gateway:gateway", "Serve models to any program, in its own format."),
    "gateway-key": LazyCommand(
        "processes.gateway_key:gateway_key", "Make a key for one who calls the gateway."
    ),
    "debug": LazyCommand("debug.group:debug", "Look at what programs asked the gateway, and how it went."),
    "rollout": LazyCommand(
        "rollout.group:rollout", "Take over from an agent of yours, measured and in stages."
    ),
    "doctor": LazyCommand("diagnosis.doctor:doctor", "Show what this machine has and what is missing."),
    "sandbox": LazyCommand(
        "sandbox.group:sandbox", "Build what programs run in, and test that they cannot get out."
    ),
    "environment": LazyCommand(
        "environments.group:environment", "Build the packages that a repository's programs need."
    ),
    "db": LazyCommand("database.group:db", "Manage the database."),
    "redis-acl": LazyCommand(
        "system.redis_acl:redis_acl", "Print users for a Redis, one for each kind of process."
    ),
    "chaos": LazyCommand(
        "system.chaos:chaos", "Inject faults into a scratch system, and check that nothing is lost."
    ),
    "completion": LazyCommand("system.completion:completion", "Print the completion script of a shell."),
}


@click.group(cls=LazyGroup, lazy_commands=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="multi-agent")
def cli() -> None:
    """Turn a request in plain language into tested code in Git, made by agents on your own machines.

    Exit codes: 0 done, 1 the work failed, 2 wrong use or configuration, 3 waiting for a person,
    4 busy: try again later, 130 interrupted.
    """


def main() -> None:
    """Run the command line; a user's mistake is one clear message, never a stack trace."""
    collect_rarely()
    code = _run()
    # What is left goes with the process; looking through it took as long as a short command.
    gc.freeze()
    gc.disable()
    sys.exit(code)


def collect_rarely() -> None:
    """Let imports pass with few searches for garbage, which find none and took a third of the time."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)


def _run() -> int:
    """Run the command that the words name; its exit code."""
    try:
        code = cli(standalone_mode=False)
    except click.ClickException as error:
        print_text(_shown(error), err=True)
        code = EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        print_line("interrupted", err=True)
        code = EXIT_INTERRUPTED
    except MultiAgentError as error:
        print_text(f"Error: {error}", err=True)
        code = _exit_code(error)
    except BrokenPipeError:
        # The reader has seen enough (`| head`).
        close_errors()
        code = EXIT_DONE
    except OSError as error:
        print_text(f"Error: {_os_words(error)}", err=True)
        code = EXIT_FAILED
    return code if isinstance(code, int) else EXIT_DONE


def _os_words(error: OSError) -> str:
    """What the system refused, and where."""
    where = f"{error.filename}: " if isinstance(error.filename, str) else ""
    return f"{where}{error.strerror or error}"


def _shown(error: click.ClickException) -> str:
    """What click would print: how the command is used, and what is wrong."""
    text = io.StringIO()
    error.show(text)
    return text.getvalue().rstrip("\n")


def _exit_code(error: MultiAgentError) -> int:
    if isinstance(error, Busy):
        return EXIT_BUSY
    if isinstance(error, WaitsForPerson):
        return EXIT_WAITING
    wrong_use = isinstance(error, InvalidInput) and not isinstance(error, InvalidPlan)
    return EXIT_USAGE if wrong_use else EXIT_FAILED
