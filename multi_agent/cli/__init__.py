"""The command line. Commands are imported when they are called, so that `--help` answers at once.

Exit codes: 0 done, 1 the work failed, 2 wrong use or configuration, 3 waiting for approval,
4 busy: try again later, 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

import click

from contracts.base.errors import Busy, InvalidInput, InvalidPlan, MultiAgentError

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_APPROVAL: Final = 3
EXIT_BUSY: Final = 4
EXIT_INTERRUPTED: Final = 130

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("run:run", "Turn a request into tested code, here and now."),
    "plan": ("plan:plan", "Make a plan for a request and write it to a file."),
    "submit": ("plan:submit", "Queue a plan for the orchestrator."),
    "status": ("show:status", "Show workflows, or one with its tasks."),
    "watch": ("show:watch", "Follow a workflow until it ends."),
    "events": ("show:events", "Print what happened, from the journal."),
    "artifacts": ("show:artifacts", "List what a workflow produced, or check it out."),
    "why": ("why:why", "Say what unfinished tasks wait for."),
    "verify": ("verify:verify", "Check that nothing was lost, done twice or moved."),
    "approve": ("people:approve", "Allow a task that waits for approval."),
    "reject": ("people:reject", "Refuse a task that waits for approval."),
    "cancel": ("people:cancel", "End a workflow."),
    "retry": ("people:retry", "Try failed tasks again."),
    "dead-letters": ("dead_letters:dead_letters", "Work off what was given up."),
    "up": ("serve:up", "Serve a data folder: everything, supervised, on this machine."),
    "orchestrator": ("serve:orchestrator", "Run an orchestrator."),
    "worker": ("serve:worker", "Run a worker for some or all roles."),
    "doctor": ("doctor:doctor", "Show what was found on this machine and what is missing."),
    "sandbox": ("sandbox:sandbox", "Build what programs run in, and try to get out of it."),
    "db": ("database:db", "Manage the database."),
    "chaos": ("chaos:chaos", "Inject faults into a scratch system, and check that nothing is lost."),
    "completion": ("completion:completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A group whose commands live in modules that are imported when needed."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """All names, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import one command."""
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name][0].split(":")
        command: click.Command = getattr(import_module(f"multi_agent.cli.{module}"), attribute)
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="multi-agent")
def cli() -> None:
    """Turn a request in plain language into tested code in Git, made by agents on your own machines.

    Exit codes: 0 done, 1 the work failed, 2 wrong use or configuration, 3 waiting for approval,
    4 busy: try again later, 130 interrupted.
    """


def main() -> None:
    """Run the command line; a user's mistake is one clear message, never a stack trace."""
    try:
        code = cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = EXIT_INTERRUPTED
    except Busy as error:
        click.echo(f"Error: {error}", err=True)
        code = EXIT_BUSY
    except MultiAgentError as error:
        click.echo(f"Error: {error}", err=True)
        wrong_use = isinstance(error, InvalidInput) and not isinstance(error, InvalidPlan)
        code = EXIT_USAGE if wrong_use else EXIT_FAILED
    except BrokenPipeError:
        # The reader has seen enough (`| head`); the interpreter must not complain about it at exit.
        sys.stderr.close()
        code = EXIT_DONE
    except OSError as error:
        click.echo(f"Error: {error}", err=True)
        code = EXIT_FAILED
    sys.exit(code if isinstance(code, int) else EXIT_DONE)
