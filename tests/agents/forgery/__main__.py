"""Tries every program in a sandbox of this machine, and says which were believed."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import click

from sandbox_runner import choose_sandbox
from sandbox_runner.engine.settings import SandboxSettings
from tests.agents.forgery.programs import forging, honest


@click.command()
@click.option("--backend", default="auto", show_default=True, help="Sandbox to use.")
def main(backend: str) -> None:
    """Exit with 1 when a forgery was believed, or an honest program was not."""
    raise SystemExit(asyncio.run(_try(backend)))


async def _try(backend: str) -> int:
    with tempfile.TemporaryDirectory() as toolbox:
        sandbox = await choose_sandbox(SandboxSettings(backend=backend, toolbox=Path(toolbox)))
        try:
            wrong = [(program, await program.run(sandbox)) for program in forging()]
            right = [(program, await program.run(sandbox)) for program in honest()]
        finally:
            await sandbox.close()
    refused = Counter(program.language for program, result in wrong if result.verdict == "failed")
    limited = sum(bool(program.limit) for program, _ in wrong)
    believed = [program.name for program, result in wrong if result.verdict == "passed" and not program.limit]
    blocked = [program.name for program, result in right if result.verdict == "failed"]
    click.echo(f"{refused.total()} of {len(wrong)} forging programs refused ({dict(refused)})")
    click.echo(f"{limited} are beyond what a verdict rules out; others believed: {believed or 'none'}")
    click.echo(
        f"{len(right) - len(blocked)} of {len(right)} honest ones passed; blocked: {blocked or 'none'}"
    )
    for suffix, language in (("py", "Python"), ("mjs", "Node.js")):
        counts = [result.tests for program, result in right if result.tests and program.language == suffix]
        apart = sum(one.apart or 0 for one in counts)
        click.echo(f"{apart} of {sum(one.passed for one in counts)} honest tests in {language} ran apart")
    return 1 if believed or blocked else 0


if __name__ == "__main__":
    main()
