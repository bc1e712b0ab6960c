"""Records flame graphs of the orchestrator and of a worker under load, with py-spy.

python -m benchmarks.flames [--out docs]
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.notes import use_notes
from benchmarks.ours import plan_of, running
from benchmarks.services import ROOT
from benchmarks.shapes import SHAPES

_RATE = 400
_LOADS = {"chain": 3_000, "lanes": 20_000}
_PROCESSES = ("orchestrator", "worker")
# The title is replaced, because py-spy writes the whole command with the folders of this machine.
_TITLE = re.compile(r'(<text id="title"[^>]*>)[^<]*')


async def record(shape: str, size: int, folder: Path, out: Path) -> None:
    """Write `flame-SHAPE-PROCESS.svg` for each process. Recording slows the system down."""
    use_notes(folder)
    async with running(folder) as system:
        await system.run([plan_of("warm-0", {"w": ()}, 0)], 60)
        recorders = []
        for name, child in zip(_PROCESSES, system.processes.children, strict=True):
            picture = out / f"flame-{shape}-{name}.svg"
            argv = ["record", "--rate", str(_RATE), "--output", str(picture), "--pid", str(child.pid)]
            quiet = asyncio.subprocess.DEVNULL
            recorders.append(await asyncio.create_subprocess_exec(_py_spy(), *argv, stdout=quiet))
        await asyncio.sleep(1.0)
        [graph] = SHAPES[shape](size)
        took = await system.run([plan_of("flame-0", graph, 0)], 300)
        for recorder in recorders:
            recorder.send_signal(signal.SIGINT)
            await recorder.wait()
    for name in _PROCESSES:
        picture = out / f"flame-{shape}-{name}.svg"
        drawn = _TITLE.sub(rf"\g<1>{shape} of {size:,}: {name}", picture.read_text("utf-8"))
        picture.write_text(drawn, "utf-8")
    click.echo(f"{shape} of {size:,}: {size / took:,.0f} tasks/s while recorded")


def _py_spy() -> str:
    found = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if found is None:
        raise click.ClickException("py-spy is not installed: make bench installs it, into .venv-bench")
    return found


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "docs", show_default=False)
def main(out: Path) -> None:
    """Record flame graphs, by default into docs."""
    for shape, size in _LOADS.items():
        with tempfile.TemporaryDirectory(prefix=f"flame-{time.monotonic_ns()}-") as folder:
            asyncio.run(record(shape, size, Path(folder), out))


if __name__ == "__main__":
    main()
