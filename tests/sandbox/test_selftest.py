"""The self-test before first use: passed once and remembered, or the backend is refused and the gap named."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.base.errors import SandboxUnavailable
from contracts.ports.sandbox import Isolation, Sandbox, SandboxRequest, SandboxResult, Verdict
from sandbox_runner import SandboxSettings, choose, choose_sandbox, survey
from sandbox_runner.guest import landlock
from sandbox_runner.probes.model import SandboxFacts, Status
from sandbox_runner.probes.quick import QUICK, judge
from sandbox_runner.probes.selftest import SelfTestFailed, self_test
from tests.sandbox.probing import netlink_let_through


class Recorded:
    """A sandbox in front of another one, that counts its runs; or one whose programs all say `says`."""

    isolation = Isolation.NAMESPACES

    def __init__(self, inner: Sandbox | None = None, says: SandboxResult | None = None) -> None:
        self.backend = inner.backend if inner else "recorded"
        self.runs = 0
        self._inner, self._says = inner, says

    async def run(self, request: SandboxRequest) -> SandboxResult:
        self.runs += 1
        if self._inner is None:
            assert self._says is not None
            return self._says
        return await self._inner.run(request)

    async def close(self) -> None: ...


def _says(stdout: bytes, verdict: Verdict = Verdict.OK) -> Recorded:
    return Recorded(
        says=SandboxResult(verdict, 0, stdout, b"complaint", {}, 0.1, "recorded", Isolation.NAMESPACES)
    )


def _without_facts(backend: str) -> SandboxFacts:
    """What is asked of any backend, whether or not the kernel has Landlock."""
    return SandboxFacts() if backend == "docker" else SandboxFacts(landlock=landlock.abi())


async def test_what_ran_within_a_minute_is_not_tried_again(settings: SandboxSettings, tmp_path: Path) -> None:
    own = replace(settings, selftests=tmp_path)
    await (await choose_sandbox(own)).close()
    if settings.backend == "docker":
        assert _last_runs(tmp_path) == [], "an engine is asked each time"
        return
    (last,) = _last_runs(tmp_path)

    async def kept(age: float) -> bool:
        """Whether a choice leaves a last run so many seconds ago as it is."""
        before = time.time() - age
        os.utime(last, (before, before))
        await (await choose_sandbox(own)).close()
        return abs(last.stat().st_mtime - before) < 1

    assert [await kept(age) for age in (30, 90, -90)] == [True, False, False]


def _last_runs(folder: Path) -> list[Path]:
    return list(folder.glob("*.ran"))


async def test_it_runs_once_and_is_remembered(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox = Recorded(shared_sandbox)
    facts = _without_facts(sandbox.backend)
    for _ in range(3):
        await self_test(sandbox, facts, ("one",), tmp_path / "new" / "folder")
    assert sandbox.runs == 1
    await self_test(sandbox, facts, ("another",), tmp_path / "new" / "folder")
    assert sandbox.runs == 2


@pytest.mark.parametrize("content", [b"", b"[]", b'{"passed": []}', b"\xff"])
async def test_a_damaged_memory_costs_one_more_run(
    shared_sandbox: Sandbox, tmp_path: Path, content: bytes
) -> None:
    sandbox = Recorded(shared_sandbox)
    facts = _without_facts(sandbox.backend)
    await self_test(sandbox, facts, (), tmp_path)
    for name in os.listdir(tmp_path):
        (tmp_path / name).write_bytes(content)
    await self_test(sandbox, facts, (), tmp_path)
    await self_test(sandbox, facts, (), tmp_path)
    assert sandbox.runs == 2


async def test_no_memory_stops_nothing(settings: SandboxSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (Path("/proc/nowhere"), tmp_path / "file", tmp_path / "file" / "below"):
        sandbox = await choose_sandbox(replace(settings, selftests=folder))
        await sandbox.close()


async def test_a_backend_with_a_gap_is_refused_and_the_gap_named(
    settings: SandboxSettings,
) -> None:
    """Also when it passed before: what it is made of has changed."""
    await (await choose_sandbox(settings)).close()
    with netlink_let_through():
        with pytest.raises(SandboxUnavailable) as caught:
            await choose_sandbox(settings)
        status = next(one for one in await survey(settings) if one.name == settings.backend)
    message = str(caught.value)
    assert "probe 'netlink' expected: a socket of this family is refused (EAFNOSUPPORT); it saw" in message
    assert f"multi-agent sandbox test --backend {settings.backend}" in message
    assert not status.ready
    assert "probe 'netlink'" in status.reason
    assert "sandbox test" in status.how_to_get
    await (await choose_sandbox(settings)).close()


async def test_auto_takes_the_next_and_warns(
    settings: SandboxSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    automatic = replace(settings, backend="auto", docker_host=settings.docker_host or "unix:///nonexistent")
    ready = [one.name for one in await survey(automatic) if one.ready]
    if len(ready) < 2:
        pytest.skip("only one backend is ready here")

    async def gap(sandbox: Sandbox, *_: Any) -> None:
        if sandbox.backend == ready[0]:
            raise SelfTestFailed("its self-test failed: probe 'x'")

    monkeypatch.setattr(choose, "self_test", gap)
    with capture_logs() as logs:
        sandbox = await choose_sandbox(automatic)
    await sandbox.close()
    assert sandbox.backend == ready[1]
    (warning,) = [one for one in logs if one["event"] == "sandbox_refused"]
    assert (warning["log_level"], warning["backend"]) == ("warning", ready[0])
    assert "probe 'x'" in warning["reason"]


@pytest.mark.parametrize(
    "sandbox", [_says(b"{}", Verdict.TIMEOUT), _says(b"no json"), _says(b"[1]"), _says(b"")]
)
async def test_one_that_does_not_come_to_an_end_is_no_pass(sandbox: Recorded, tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="self-test did not complete") as caught:
        await self_test(sandbox, SandboxFacts(), (), tmp_path)
    assert not isinstance(caught.value, SelfTestFailed)
    assert os.listdir(tmp_path) == []


async def test_what_was_not_looked_at_is_a_gap(tmp_path: Path) -> None:
    with pytest.raises(SelfTestFailed, match=f"and {len(QUICK) - 1} more"):
        await self_test(_says(b"{}"), SandboxFacts(), (), tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("seen", ["opened", None, ["eth0"], {}, 0, [0] * 6, "0", -1])
def test_no_look_takes_anything(seen: object) -> None:
    outcomes = [judge(look, seen, SandboxFacts(landlock=6)) for look in QUICK]
    assert [one.probe for one in outcomes if one.status is Status.OK] == []


def test_what_is_asked_depends_on_the_machine() -> None:
    looks = {look.name: look for look in QUICK}
    assert judge(looks["landlock"], "done", SandboxFacts(landlock=0)).status is Status.OK
    assert judge(looks["landlock"], "done", SandboxFacts(landlock=2)).status is Status.DIFFERENT
    assert judge(looks["process-limit"], 34, SandboxFacts(counts_processes=False)).status is Status.OK
    assert judge(looks["process-limit"], 34, SandboxFacts()).status is Status.DIFFERENT
    assert judge(looks["outer-user"], 0, SandboxFacts()).status is Status.DIFFERENT
    assert judge(looks["outer-user"], 0, SandboxFacts(started_by_root=False)).status is Status.OK
