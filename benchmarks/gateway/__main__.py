"""What the gateway adds to the time of the first byte, beside a bare pass-through and litellm's proxy.

    python -m benchmarks.gateway --litellm FOLDER

FOLDER is a virtual environment with `litellm[proxy]`, which is not ours; without it litellm is left out. All
are asked in one run, one after the other, 50 times a second with 100 streams open through each, before a
service that answers after 50 ms. It takes about 10 minutes and wants an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession

from benchmarks.gateway.load import Times, caller, load, open_streams
from benchmarks.gateway.servers import UPSTREAM_PORT
from contracts.base.printing import print_json, print_line

_ROOT: Final = Path(__file__).parents[2]
_CHAT: Final = "/v1/chat/completions"
_UPSTREAM: Final = f"http://127.0.0.1:{UPSTREAM_PORT}/v1"
_KEY: Final = "sk-benchmark-0123456789"
_START_SECONDS: Final = 90.0
_LITELLM: Final = f"""
model_list:
  - model_name: m
    litellm_params: {{model: openai/m, api_base: {_UPSTREAM}, api_key: {_KEY}}}
general_settings: {{master_key: {_KEY}}}
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server before the upstream."""

    name: str
    port: int
    words: tuple[str, ...]
    paths: tuple[str, ...] = (_CHAT,)


def contenders(litellm: Path | None, folder: Path) -> Iterator[Contender]:
    """Those that are measured."""
    python = sys.executable
    yield Contender("bare", 19_701, (python, "-m", "benchmarks.gateway.servers", "bare", "19701"))
    gateway = (python, "-m", "multi_agent.cli", "gateway", "--model", "openai:m", "--port", "19702")
    yield Contender(
        "gateway", 19_702, (*gateway, "--data-dir", str(folder / "data")), (_CHAT, "/v1/messages")
    )
    if litellm is not None:
        config = folder / "litellm.yaml"
        config.write_text(_LITELLM)
        program = str(litellm / "bin" / "litellm")
        yield Contender("litellm", 19_703, (program, "--config", str(config), "--port", "19703"))


@contextmanager
def running(words: tuple[str, ...], log: Path) -> Iterator[int]:
    """A process while the block runs; its process id."""
    env = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "OPENAI_BASE_URL": _UPSTREAM,
        "OPENAI_API_KEY": _KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    with log.open("wb") as file:
        process = subprocess.Popen(words, cwd=_ROOT, env=env, stdout=file, stderr=file)
        try:
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def megabytes(pid: int) -> float:
    """The memory of a process and of those that it started."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return round(own + sum(megabytes(int(child)) for child in children), 1)


@asynccontextmanager
async def answering(url: str) -> AsyncIterator[ClientSession]:
    """A caller, once the server answers. Raises RuntimeError for one that does not."""
    until = time.monotonic() + _START_SECONDS
    async with caller(_KEY) as session:
        while True:
            with suppress(ClientError):
                if (await load(session, url, 1, 1)).answered:
                    break
            if time.monotonic() > until:
                raise RuntimeError(f"nothing answers at {url}")
            await asyncio.sleep(0.5)
        yield session


async def measure(url: str, wanted: argparse.Namespace) -> Times:
    """Times while streams are open."""
    async with answering(url) as session, open_streams(session, url, wanted.streams):
        await load(session, url, wanted.warm, wanted.rate)
        return await load(session, url, wanted.requests, wanted.rate)


async def memory(url: str, pid: int, wanted: argparse.Namespace) -> list[float]:
    """Megabytes at first, and after each fifth of the requests."""
    async with answering(url) as session:
        await load(session, url, wanted.warm, wanted.rate)
        found = [megabytes(pid)]
        for _ in range(5):
            await load(session, url, wanted.memory // 5, wanted.memory_rate)
            found.append(megabytes(pid))
    return found


async def run(wanted: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Every figure, by the name of who was asked."""
    found: dict[str, object] = {}
    upstream = (sys.executable, "-m", "benchmarks.gateway.servers", "upstream", str(UPSTREAM_PORT))
    with running(upstream, folder / "upstream.log"):
        direct = await measure(f"http://127.0.0.1:{UPSTREAM_PORT}{_CHAT}", wanted)
        found["direct"] = asdict(direct)
        _say("direct", direct, direct)
        for one in contenders(wanted.litellm, folder):
            with running(one.words, folder / f"{one.name}.log") as pid:
                for path in one.paths:
                    url = f"http://127.0.0.1:{one.port}{path}"
                    times = await measure(url, wanted)
                    _say(f"{one.name} {path}", times, direct)
                    found[f"{one.name} {path}"] = asdict(times) | _added(times, direct)
                used = await memory(f"http://127.0.0.1:{one.port}{one.paths[-1]}", pid, wanted)
                print_line(f"{one.name}: MB over {wanted.memory:,} requests: {', '.join(map(str, used))}")
                found[f"{one.name} MB"] = used
        again = await measure(f"http://127.0.0.1:{UPSTREAM_PORT}{_CHAT}", wanted)
        found["direct again"] = asdict(again)
        _say("direct again", again, direct)
    return found


def _added(times: Times, direct: Times) -> dict[str, float]:
    return {
        "added_p50": round(times.p50 - direct.p50, 1),
        "added_p99": round(times.p99 - direct.p99, 1),
    }


def _say(name: str, times: Times, direct: Times) -> None:
    added = _added(times, direct)
    print_line(
        f"{name}: first byte p50 {times.p50} ms, p99 {times.p99} ms (added {added['added_p50']}, "
        f"{added['added_p99']}), {times.answered} answered, {times.failed} failed"
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--litellm", type=Path, help="a virtual environment with litellm[proxy]")
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--warm", type=int, default=200, help="requests before those that count")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--streams", type=int, default=100, help="that are open meanwhile")
    parser.add_argument("--memory", type=int, default=10_000, help="requests over which memory is looked at")
    parser.add_argument("--memory-rate", type=float, default=100.0)
    parser.add_argument("--json", type=Path, help="file for the figures")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = asyncio.run(run(wanted, Path(folder)))
        except RuntimeError as error:
            sys.exit(f"Error: {error}")
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=1) + "\n")
    else:
        print_json(found)


if __name__ == "__main__":
    main()
