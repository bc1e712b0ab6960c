"""`multi-agent sandbox test`: what it prints and how it ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.base.errors import InvalidInput
from contracts.ports.sandbox import Sandbox
from multi_agent.cli import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, cli
from multi_agent.cli.sandbox.report import show
from sandbox_runner import SandboxSettings, probe_report
from sandbox_runner.probe_report import PROBES, BackendReport, try_backend
from sandbox_runner.probes import abuse, host
from sandbox_runner.probes.model import Abuse, Outcome, Status
from tests.sandbox.probing import netlink_let_through

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def _command(*arguments: str, folder: Path) -> tuple[int, str]:
    argv = ["sandbox", "test", *arguments, "--data-dir", str(folder)]
    result = CliRunner().invoke(cli, argv, env=NO_ENGINE, standalone_mode=False, catch_exceptions=False)
    code = result.return_value
    assert isinstance(code, int)
    return code, result.stdout


def test_the_list(tmp_path: Path) -> None:
    code, text = _command("--list", folder=tmp_path)
    assert code == EXIT_DONE
    assert [line.split()[0] for line in text.splitlines()] == list(PROBES)
    assert len(PROBES) > 100


def test_all_as_it_must_be(settings: SandboxSettings) -> None:
    if settings.backend == "docker":
        pytest.skip("the command finds no private engine's image; its probes run in test_abuse")
    arguments = ("--backend", settings.backend, "--probe", "sleep", "--probe", "vsock")
    code, text = _command(*arguments, folder=settings.toolbox.parent)
    assert code == EXIT_DONE
    assert text.splitlines()[:2] == [f"{settings.backend}  vsock  ok", f"{settings.backend}  sleep  ok"]
    assert f"{settings.backend}: level namespaces; 2 of 2 probes ok" in text


def test_a_gap_is_told_and_sets_the_exit_code(
    settings: SandboxSettings,
) -> None:
    """One that the self-test would refuse is looked at all the same."""
    if settings.backend == "docker":
        pytest.skip("as above")
    arguments = ("--backend", settings.backend, "--probe", "netlink", "--probe", "vsock", "--json")
    with netlink_let_through():
        code, text = _command(*arguments, folder=settings.toolbox.parent)
    assert code == EXIT_FAILED
    (found,) = json.loads(text)
    assert found["backend"] == settings.backend
    assert {one["probe"]: one["status"] for one in found["outcomes"]} == {
        "vsock": "ok",
        "netlink": "different",
    }


def test_without_a_sandbox(tmp_path: Path) -> None:
    code, text = _command("--backend", "docker", "--probe", "sleep", folder=tmp_path)
    assert code == EXIT_USAGE
    assert "docker  sleep  not available" in text
    assert "docker: not available: no engine answers: /nonexistent/docker.sock does not exist" in text


def test_an_unknown_probe(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="probe 'sleeep' is not known; --list shows all"):
        _command("--probe", "sleeep", folder=tmp_path)


async def test_a_backend_without_time_left_is_different(
    settings: SandboxSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_report, "BACKEND_SECONDS", 4.0)

    async def hang(_: Sandbox) -> str:
        await asyncio.sleep(3600)
        return ""

    slow = tuple(Abuse(one.name, one.must, hang) for one in abuse.ABUSE)
    monkeypatch.setattr(probe_report, "ABUSE", slow)
    found = await try_backend(settings.backend, settings, ("sleep", "spin"))
    assert [one.seen for one in found.different] == ["did not end within the time for all"] * 2


async def test_a_listener_that_is_reached_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe of the host's sockets sees a program that does get there, by every way."""

    async def run(*_: object, **__: object) -> str:
        port, path, name = str(_[2]), str(_[3]), str(_[4])
        for opened in (
            asyncio.open_connection("127.0.0.1", int(port)),
            asyncio.open_unix_connection(path),
            asyncio.open_unix_connection("\0" + name),
        ):
            (await opened)[1].close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", ("127.0.0.1", int(port)))
        return ""

    monkeypatch.setattr(abuse, "_run", run)
    probe = next(one for one in abuse.ABUSE if one.name == "host-sockets")
    seen = await probe.attempt(object())  # type: ignore[arg-type]  # it is not asked for anything
    for what in ("a UDP port", "a TCP port", "a Unix socket", "an abstract Unix socket"):
        assert what in seen


@asynccontextmanager
async def _sleeping(marker: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec("sh", "-c", "sleep 60", marker)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def test_what_is_left_on_the_host_is_noticed(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = host.new_marker()
    monkeypatch.setattr(abuse, "new_marker", lambda: marker)
    probe = next(one for one in abuse.ABUSE if one.name == "descriptors")
    async with _sleeping(marker):
        assert "of its processes run on" in await probe.attempt(sandbox)


def test_a_terminal_gets_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = (
        Outcome("vsock", "is refused", Status.OK),
        Outcome("bpf", "is refused", Status.DIFFERENT, "saw x"),
    )
    reports = [
        BackendReport(
            "docker", "", "no engine", tuple(Outcome(o.probe, o.must, Status.UNAVAILABLE) for o in outcomes)
        ),
        BackendReport("namespaces", "namespaces", "limits", outcomes),
    ]
    monkeypatch.setenv("FORCE_COLOR", "1")
    show(reports)
    text = capsys.readouterr().out
    assert "probe" in text
    for word in (
        "not available",
        "DIFFERENT",
        "docker: not available: no engine",
        "bpf: expected: is refused; it saw x",
    ):
        assert word in text, text
