"""`multi-agent completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from contracts.base.printing import print_text


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL; for bash: eval "$(multi-agent completion bash)"."""
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root()
    print_text(found(root.command, {}, "multi-agent", "_MULTI_AGENT_COMPLETE").source())
