"""`from sandbox_runner import SandboxRunner`, with the settings of this machine."""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput, SandboxUnavailable
from contracts.ports.sandbox import Isolation, Sandbox, SandboxRequest, SandboxResult, Verdict
from sandbox_runner import SandboxRunner
from sandbox_runner.choose import FirstUseSandbox


def test_as_written(tmp_path: Path) -> None:
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "x.py").write_text("print(6 * 7)\n")
    sandbox = SandboxRunner()
    sandbox.create_container()
    sandbox.copy_files(tmp_path)
    sandbox.copy_files({"y.py": "import codes.x\n"})
    sandbox.copy_files([tmp_path / "codes" / "x.py"])
    for program in ("codes/x.py", "y.py", "x.py"):
        result = sandbox.execute(cmd=f"python {program}", timeout=30)
        assert (result.verdict, result.exit_code, result.stdout) == ("ok", 0, b"42\n")
    assert sandbox.execute(cmd=["sleep", "60"], timeout=0.5).verdict == "timeout"
    sandbox.cleanup()
    with pytest.raises(InvalidInput, match=r"call create_container\(\) first"):
        sandbox.execute(cmd="true")


class NamedSandbox:
    """A sandbox that answers with its name."""

    backend = "named"
    isolation = Isolation.SYSCALLS

    def __init__(self, name: str) -> None:
        self._name = name

    async def run(self, request: SandboxRequest) -> SandboxResult:
        out = self._name.encode()
        return SandboxResult(Verdict.OK, 0, out, b"", {}, 0.0, self.backend, self.isolation)

    async def close(self) -> None: ...


async def test_first_runs_at_once_choose_one_sandbox() -> None:
    names = itertools.count()

    async def choose() -> Sandbox:
        await asyncio.sleep(0)
        return NamedSandbox(str(next(names)))

    sandbox = FirstUseSandbox(choose)
    results = await asyncio.gather(*(sandbox.run(SandboxRequest(argv=("true",))) for _ in range(3)))
    assert [result.stdout for result in results] == [b"0"] * 3


async def test_it_can_be_chosen_before_the_first_run() -> None:
    tried = itertools.count()
    chosen = asyncio.Event()

    async def choose() -> Sandbox:
        chosen.set()
        if next(tried) == 0:
            raise SandboxUnavailable("not yet")
        return NamedSandbox("second")

    sandbox = FirstUseSandbox(choose)
    sandbox.begin()
    await chosen.wait()
    assert (await sandbox.run(SandboxRequest(argv=("true",)))).stdout == b"second"
    await sandbox.close()


async def test_what_is_still_being_chosen_ends_with_it() -> None:
    ended = asyncio.Event()

    async def choose() -> Sandbox:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    sandbox = FirstUseSandbox(choose)
    sandbox.begin()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await sandbox.close()
    assert ended.is_set()


def test_it_may_be_used_from_any_thread_and_again_after_cleanup() -> None:
    with SandboxRunner() as sandbox, ThreadPoolExecutor(3) as threads:
        for _ in range(2):
            sandbox.create_container()
            found = threads.map(lambda _: sandbox.execute(cmd="echo x", timeout=30).stdout, range(3))
            assert list(found) == [b"x\n"] * 3
            sandbox.cleanup()


def test_mistakes_are_named() -> None:
    sandbox = SandboxRunner()
    sandbox.create_container()
    for cmd, timeout, why in (
        ("", None, "cmd '' names no program"),
        ("echo 'x", None, "No closing quotation"),
        ([1], None, "names no program"),
        (None, None, "cmd None is no command line"),
        ("true", 0, "timeout 0 is no time; give seconds above 0"),
        ("true", "1", "timeout '1' is no time"),
    ):
        with pytest.raises(InvalidInput, match=why):
            sandbox.execute(cmd=cmd, timeout=timeout)
    with pytest.raises(InvalidInput, match="nothing-here"):
        sandbox.copy_files("nothing-here")
