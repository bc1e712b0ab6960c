"""Callers race for a budget over several gateways that are killed meanwhile: what they overspend.

`python -m tests.gateway.racing --callers 50 --gateways 2 --kills 5` prints one line of JSON. The service
bills as much as it may for each request that reaches it, also where no gateway lives to hear of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from multi_agent.gateway.budgets.ledger import KeyLedger
from multi_agent.gateway.budgets.limits import NANO, KeyLimits
from multi_agent.gateway.keys import add_key, ledger_path
from tests.gateway.fake_service import FakeService, serving

MOST_OUTPUT = 100
PRICES = {"MULTI_AGENT_INPUT_PRICE": "1", "MULTI_AGENT_OUTPUT_PRICE": "10"}
COMMAND = (sys.executable, "-P", "-m", "multi_agent.cli", "gateway", "--model", "openai:up-model")


@dataclass
class BillingService(FakeService):
    """Answers after a moment, and counts what it bills: each byte as a token, and the longest answer."""

    billed_nano_usd: int = 0
    moment: float = 0.02
    requests: int = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.content.read()
        self.requests += 1
        self.billed_nano_usd += len(raw) * 1_000 + MOST_OUTPUT * 10_000
        await asyncio.sleep(self.moment)
        usage = {"prompt_tokens": len(raw), "completion_tokens": MOST_OUTPUT}
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        return web.json_response({"id": "a", "model": "m", "choices": [choice], "usage": usage})


@dataclass
class Race:
    """What is tried, and what came of it."""

    folder: Path
    budget_usd: float
    callers: int
    gateways: int
    kills: int
    answered: int = 0
    refused: int = 0
    broken: int = 0
    killed: int = 0
    urls: dict[int, str] = field(default_factory=dict)
    """Of the gateways that live, by number."""


async def race(wanted: Race) -> dict[str, Any]:
    """Let callers ask until the budget is spent; who billed how much."""
    keys = wanted.folder / "keys.json"
    secret = add_key(keys, "ann", (), None, KeyLimits(usd=wanted.budget_usd))
    async with serving(BillingService()) as service:
        assert isinstance(service, BillingService)
        env = {**os.environ, **PRICES, "OPENAI_BASE_URL": f"{service.url}/v1", "OPENAI_API_KEY": "k" * 20}
        env |= {"MULTI_AGENT_GATEWAY_KEYS": str(keys), "MULTI_AGENT_DATA_DIR": str(wanted.folder / "data")}
        running = [asyncio.create_task(_gateway(wanted, number, env)) for number in range(wanted.gateways)]
        try:
            await _until(lambda: len(wanted.urls) == wanted.gateways)
            await asyncio.gather(*(_caller(wanted, number, secret) for number in range(wanted.callers)))
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    return _result(wanted, service, ledger_path(keys))


async def _gateway(wanted: Race, number: int, env: dict[str, str]) -> None:
    """A gateway, started again as often as it is killed; the first is, in the midst of work."""
    while True:
        async with _started(env) as (process, url):
            wanted.urls[number] = url
            if number or wanted.killed >= wanted.kills:
                await asyncio.Event().wait()
            enough = wanted.answered + wanted.callers // 2
            await _until(lambda: wanted.answered >= enough)  # noqa: B023 - awaited within the round
            del wanted.urls[number]
            wanted.killed += 1
            process.kill()


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - other processes are waited for too
        await asyncio.sleep(0.005)


@asynccontextmanager
async def _started(env: dict[str, str]) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    command = (*COMMAND, "--port", "0")
    process = await asyncio.create_subprocess_exec(*command, env=env, stderr=pipe, stdout=nothing)
    assert process.stderr is not None
    try:
        told = json.loads(await process.stderr.readline())
        reading = asyncio.create_task(process.stderr.read())
        yield process, told["url"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    await reading


async def _caller(wanted: Race, number: int, secret: str) -> None:
    """Ask, of another gateway each time, until the budget is spent."""
    headers, asked = {"authorization": f"Bearer {secret}"}, number
    body = {"model": "m", "max_tokens": MOST_OUTPUT, "messages": [{"role": "user", "content": "Hi " * 50}]}
    async with ClientSession(headers=headers, timeout=ClientTimeout(60)) as session:
        while True:
            urls = list(wanted.urls.values())
            asked += 1
            try:
                async with session.post(f"{urls[asked % len(urls)]}/v1/chat/completions", json=body) as reply:
                    told = await reply.json()
            except ClientError:
                wanted.broken += 1
                continue
            if reply.status == 200:
                wanted.answered += 1
                continue
            assert told["error"]["code"] == "insufficient_quota", told
            wanted.refused += 1
            return


def _result(wanted: Race, service: BillingService, path: Path) -> dict[str, Any]:
    ledger = KeyLedger(path)
    spent = ledger.spent("ann", time.time())
    ledger.close()
    return {
        "budget_usd": wanted.budget_usd,
        "billed_usd": service.billed_nano_usd / NANO,
        "charged_usd": spent.nano_usd / NANO,
        "overspent_usd": max(service.billed_nano_usd / NANO - wanted.budget_usd, 0.0),
        "requests": service.requests,
        **{name: getattr(wanted, name) for name in ("answered", "refused", "broken", "killed")},
        "open": spent.open_requests,
    }


def main() -> None:
    """Race once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=50)
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--budget-usd", type=float, default=1.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="racing-") as folder:
        wanted = Race(Path(folder), given.budget_usd, given.callers, given.gateways, given.kills)
        print(json.dumps(asyncio.run(race(wanted))))


if __name__ == "__main__":
    main()
