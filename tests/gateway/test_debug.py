"""What `debug` and `gateway-key --list` show, what is measured, and a gateway beside everything else."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, generate_latest

from contracts.base.errors import InvalidInput, NotConfigured
from contracts.runtime.bounded_names import OTHERS
from multi_agent.bootstrap.gateway import make_gateway
from multi_agent.cli import cli
from multi_agent.gateway.budgets.ledger import KeyLedger
from multi_agent.gateway.budgets.limits import KeyAmount, KeyLimits
from multi_agent.gateway.keys import add_key, ledger_path
from multi_agent.gateway.preparing import PreparedRequest
from multi_agent.gateway.records.metrics import GatewayMetrics
from multi_agent.gateway.records.store import LoggedRequest, RecordFilter, RequestStore, read_records
from multi_agent.gateway.request_line import RequestLine
from multi_agent.gateway.routes import ModelAddress
from multi_agent.models.wire.canonical import WireUsage
from multi_agent.models.wire.failures import WireFailure
from multi_agent.runtime.gateway import check_gateway, kept
from multi_agent.settings import load_settings
from tests.e2e.conftest import Cli
from tests.gateway.fake_service import FakeService, serving
from tests.gateway.rigs import CANARY
from tests.gateway.test_gateway import CHAT, post
from tests.gateway.test_request_log import RECORD

CHAT_BODY = json.dumps({**CHAT, "prompt_cache_key": "s-1"}).encode()
ANSWER = json.dumps(
    {"model": "m", "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
).encode()


def run(*words: str) -> str:
    """What a command prints."""
    ended = CliRunner().invoke(cli, words, standalone_mode=False, catch_exceptions=False)
    return ended.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a request log."""
    now = time.time()
    answered = replace(RECORD, model="openai:gpt-5", asked="gpt-9", session="s-1", output=40, ms=2_000.0)
    records = [
        replace(answered, request_id="answered-1", at=now - 60, stream=True, first_ms=250.0),
        replace(answered, request_id="answered-2", at=now - 50, ms=90.0),
        replace(
            RECORD, request_id="limited", at=now - 40, failure="rate_limit", status=429, reason="slow down"
        ),
        replace(answered, request_id="long-ago", at=now - 200_000),
    ]
    store = RequestStore(tmp_path / "gateway" / "requests.db")
    store.add([LoggedRequest(record, CHAT_BODY, ANSWER) for record in records])
    store.close()
    return tmp_path


def test_requests_are_shown_as_people_and_programs_read_them(folder: Path) -> None:
    at = ("--data-dir", str(folder))
    lines = run("debug", "requests", *at).splitlines()
    assert [line.split()[2] for line in lines] == ["key", "answered-1", "answered-2", "limited"]
    assert "250 ms  2000 ms" in lines[1]
    assert lines[3].endswith("slow down")
    assert len(run("debug", "requests", *at, "--since", "7d", "--model", "gpt-9").splitlines()) == 4
    assert run("debug", "requests", *at, "--key", "bob") == "no such requests\n"
    (last,) = json.loads(run("debug", "requests", *at, "--json", "--limit", "1"))
    assert (last["request_id"], last["outcome"], last["tokens_per_second"]) == ("limited", "rate_limit", None)
    with pytest.raises(InvalidInput, match="--since is 'soon'; write a number with s, m, h or d"):
        run("debug", "requests", *at, "--since", "soon")


def test_slow_ones_errors_and_sessions_are_shown(folder: Path) -> None:
    at = ("--data-dir", str(folder))
    slow = json.loads(run("debug", "slow", *at, "--json"))
    assert (slow["models"][0]["model"], slow["models"][0]["requests"]) == ("openai:gpt-5", 2)
    assert [one["request_id"] for one in slow["slowest"]] == ["answered-1", "answered-2"]
    assert "openai:gpt-5  2         250 ms" in run("debug", "slow", *at)
    errors = run("debug", "errors", *at)
    assert errors.startswith("     1 x rate_limit 429, last ")
    assert errors.endswith("as limited: slow down\n1 of 3 requests went wrong\n")
    session = json.loads(run("debug", "session", "s-1", *at, "--json"))
    assert [one["request_id"] for one in session] == ["long-ago", "answered-1", "answered-2"]
    with pytest.raises(InvalidInput, match="no request of the session 's-9'"):
        run("debug", "session", "s-9", *at)


def test_a_session_is_recorded_once(folder: Path) -> None:
    to = folder / "recorded"
    words = ("debug", "session", "s-1", "--data-dir", str(folder), "--recording", str(to))
    # Of a stream these are no events.
    assert run(*words) == f"wrote {to / 'recording.json'}: 1 answers to 3 requests\n"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (to, to / "recording.json")] == [0o700, 0o600]
    with pytest.raises(InvalidInput, match="is there already; name another folder"):
        run(*words)


def test_a_list_of_keys_says_what_is_spent_and_left(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    assert run("gateway-key", "ann", "--keys", str(keys), "--usd", "5", "--tokens-per-day", "1000")
    add_key(keys, "bob", ("gpt-*",), 1e-9)
    ledger = KeyLedger(ledger_path(keys))
    for amount in (KeyAmount(100, 1_000_000_000), KeyAmount(200, 500_000_000)):
        number = ledger.take("ann", KeyLimits(usd=5), amount, time.time())
    assert isinstance(number, int)
    ledger.settle(number, None)
    ledger.close()
    listed = run("gateway-key", "--keys", str(keys), "--list").splitlines()
    assert listed == [
        "ann: all models, usd $5.0000: $1.5000 spent, $3.5000 left, tokens per day 1,000: 300 spent, "
        "700 left, of which 1 open requests may take $1.0000",
        "bob: expired, models gpt-*",
    ]
    told = json.loads(run("gateway-key", "--keys", str(keys), "--list", "--json"))
    assert told[0]["limits"][0] == {"name": "usd", "most": 5.0, "spent": 1.5, "left": 3.5}
    assert run("gateway-key", "ann", "--keys", str(keys), "--change", "--usd", "9") == (
        "ann: usd 9.0, tokens per day 1,000\n"
    )
    for words, said in ((("--change", "ann"), "say what is to change"), ((), "say whose key it is")):
        with pytest.raises(InvalidInput, match=said):
            run("gateway-key", "--keys", str(keys), *words)


def ended_line(model: str, **facts: Any) -> RequestLine:
    prepared = PreparedRequest(address=ModelAddress("openai", model), streams=True)
    line = RequestLine("r-1", "chat", "answer", prepared=prepared, tries=1, **facts)
    line.sends(b"x")
    line.end()
    return line


def test_metrics_say_how_requests_ended_and_have_bounded_names() -> None:
    registry = CollectorRegistry()
    metrics = GatewayMetrics(registry)
    metrics.ended(ended_line("a", usage=WireUsage(10, 5, 2)))
    metrics.ended(ended_line("a", failure=WireFailure("rate_limit", "slow")))
    metrics.dropped(3)
    metrics.left("ann", "usd", 2.5)
    with metrics.streaming():
        shown = generate_latest(registry).decode()
    labels = 'format="chat",model="openai:a"'
    for line in (
        f'multi_agent_gateway_requests_total{{{labels},outcome="ok"}} 1.0',
        f'multi_agent_gateway_requests_total{{{labels},outcome="rate_limit"}} 1.0',
        'multi_agent_gateway_tokens_total{kind="cached_input",model="openai:a"} 2.0',
        'multi_agent_gateway_first_seconds_count{model="openai:a"} 1.0',
        'multi_agent_gateway_seconds_count{model="openai:a"} 1.0',
        "multi_agent_gateway_open_streams 1.0",
        "multi_agent_gateway_dropped_records_total 3.0",
        'multi_agent_gateway_limit_left{key="ann",limit="usd"} 2.5',
    ):
        assert line in shown.splitlines()
    for number in range(300):
        metrics.ended(ended_line(f"made-up-{number}"))
    shown = generate_latest(registry).decode()
    assert f'model="{OTHERS}",outcome="ok"}} 201.0' in shown
    assert "multi_agent_gateway_open_streams 0.0" in shown


def test_what_a_gateway_cannot_start_with_is_said_before(tmp_path: Path) -> None:
    given = {"openai_api_key": CANARY, "model": "openai:x", "data_dir": tmp_path}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NotConfigured, match=f"cannot listen at 127.0.0.1:{port}: Address already"):
            check_gateway(load_settings({**given, "gateway_port": port}))
    check_gateway(load_settings({**given, "gateway_port": 0}))
    (tmp_path / "gateway").write_text("in the way")
    known = load_settings(given)
    with (
        pytest.raises(NotConfigured, match=r"the request log .* cannot be used: "),
        kept(make_gateway(known), known, CollectorRegistry()),
    ):
        pass
    without = load_settings({**given, "gateway_log_mb": 0})
    with kept(make_gateway(without), without, CollectorRegistry()) as gateway:
        assert len(gateway.told) == 1


async def test_up_serves_a_gateway_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    cli = Cli(tmp_path)
    async with serving(FakeService()) as service:
        cli.env |= {"OPENAI_BASE_URL": f"{service.url}/v1", "OPENAI_API_KEY": CANARY}
        up = cli.start("up", "--model", "openai:gpt-5", "--gateway", port, "--workers", "1")
        try:
            async with asyncio.timeout(60):
                status = await _answered(f"http://127.0.0.1:{port}/v1/chat/completions")
        finally:
            up.terminate()
            said = (await asyncio.to_thread(up.communicate))[0]
    assert (status, up.returncode) == (200, 0), said
    assert f"starting a gateway at http://127.0.0.1:{port}" in said
    (record,) = read_records(tmp_path / ".multi_agent" / "gateway" / "requests.db", RecordFilter())
    assert record.record.model == "openai:gpt-5"


async def _answered(url: str) -> int:
    while True:
        try:
            return (await post(url, CHAT))[0]
        except ClientError:
            await asyncio.sleep(0.1)
