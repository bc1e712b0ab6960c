"""The Sandbox port, by every backend: a program runs, and what it does comes back."""

from __future__ import annotations

import hashlib
import json
import signal

import pytest

from contracts.base.errors import InvalidInput, UnsafePath
from contracts.ports.sandbox import Isolation, Sandbox, SandboxLimits, SandboxRequest
from tests.sandbox.probing import FAST, ask, python, run


async def test_exit_0_is_ok(sandbox: Sandbox) -> None:
    result = await python(sandbox, "pass")
    assert (result.verdict, result.exit_code) == ("ok", 0)
    assert (result.backend, result.isolation) == (sandbox.backend, sandbox.isolation)
    expected = Isolation.CONTAINER if sandbox.backend == "docker" else Isolation.NAMESPACES
    assert result.isolation is expected


async def test_another_exit_code_is_a_result(sandbox: Sandbox) -> None:
    result = await python(sandbox, "raise SystemExit(7)")
    assert (result.verdict, result.exit_code) == ("failed", 7)


async def test_death_by_an_own_signal_is_a_result(sandbox: Sandbox) -> None:
    result = await python(sandbox, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert (result.verdict, result.exit_code) == ("failed", 128 + 11)


async def test_no_signal_is_ignored_because_whoever_started_us_ignores_it(sandbox: Sandbox) -> None:
    ignored = "[number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN]"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        found = await ask(sandbox, f"import signal; print(json.dumps(sorted({ignored})))")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert found == [signal.SIGPIPE, signal.SIGXFSZ], "those that Python ignores"


async def test_a_missing_command_is_a_result(sandbox: Sandbox) -> None:
    result = await run(sandbox, "no-such-command-anywhere")
    assert (result.verdict, result.exit_code) == ("failed", 127)
    assert b"no-such-command-anywhere" in result.stderr


async def test_outputs_are_apart_and_binary(sandbox: Sandbox) -> None:
    code = "import sys; sys.stdout.buffer.write(bytes(range(256))); sys.stderr.buffer.write(b'\\xff\\0e')"
    result = await python(sandbox, code)
    assert result.stdout == bytes(range(256))
    assert result.stderr == b"\xff\0e"


async def test_there_are_terminals(sandbox: Sandbox) -> None:
    code = """
import pty, sys
child, terminal = pty.fork()
if not child:
    print(sys.stdin.isatty(), input(), flush=True)
    input()
os.write(terminal, b"typed\\n")
shown = b""
while b"True typed" not in shown:
    shown += os.read(terminal, 100)
os.write(terminal, b"\\n")
os.waitpid(child, 0)
print(json.dumps("shown"))
"""
    assert await ask(sandbox, code) == "shown"


async def test_unicode_is_printed(sandbox: Sandbox) -> None:
    result = await python(sandbox, "print('Grüße, 世界 \\U0001f600')")
    assert result.stdout.decode() == "Grüße, 世界 \U0001f600\n"


async def test_stdin_arrives_and_ends(sandbox: Sandbox) -> None:
    data = bytes(range(256)) * 2_000
    code = "import sys, hashlib; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
    result = await python(sandbox, code, stdin=data)
    assert result.stdout.decode().strip() == hashlib.sha256(data).hexdigest()


async def test_no_stdin_is_an_empty_one(sandbox: Sandbox) -> None:
    assert await ask(sandbox, "print(json.dumps(sys.stdin.read()))") == ""


async def test_no_shell_reads_the_arguments(sandbox: Sandbox) -> None:
    arguments = ["$(id)", "`id`", "; ls", "a b", "*", "é\n", ""]
    request = SandboxRequest(
        argv=("python", "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", *arguments)
    )
    result = await sandbox.run(request)
    assert json.loads(result.stdout) == arguments


async def test_files_go_in_where_the_program_starts(sandbox: Sandbox) -> None:
    files = {"a.txt": b"one", "deep/er/b.bin": bytes(range(256)), "grüße/ü.txt": b"", "big": b"x" * 3_000_000}
    code = f"print(json.dumps({{p: len(open(p, 'rb').read()) for p in {sorted(files)!r}}}))"
    assert await ask(sandbox, code, files=files) == {path: len(files[path]) for path in files}
    assert await ask(sandbox, "print(json.dumps([os.getcwd(), sys.path[0]]))") == ["/work", "/work"]


async def test_a_file_and_a_folder_come_back(sandbox: Sandbox) -> None:
    code = """
import os
os.makedirs("out/deep")
open("out/a.txt", "w").write("A")
open("out/deep/b.bin", "wb").write(bytes(range(256)))
open("out/ü", "w").close()
open("single", "w").write("S" * 2_000_000)
open("not asked for", "w").close()
"""
    result = await python(sandbox, code, collect=("out/", "single", "missing", "missing/"))
    assert result.files == {
        "out/a.txt": b"A",
        "out/deep/b.bin": bytes(range(256)),
        "out/ü": b"",
        "single": b"S" * 2_000_000,
    }


async def test_long_names_come_back(sandbox: Sandbox) -> None:
    path = "/".join(["folder-with-a-long-name" * 4] * 4) + "/" + "n" * 150
    code = f"import os\nos.makedirs(os.path.dirname({path!r}))\nopen({path!r}, 'w').write('x')"
    result = await python(sandbox, code, collect=(path.split("/")[0] + "/",))
    assert result.files == {path: b"x"}


async def test_files_of_a_failed_program_come_back(sandbox: Sandbox) -> None:
    result = await python(sandbox, "open('o', 'w').write('x'); raise SystemExit(1)", collect=("o",))
    assert (result.verdict, result.files) == ("failed", {"o": b"x"})


async def test_a_file_that_changed_comes_back_changed(sandbox: Sandbox) -> None:
    result = await python(sandbox, "open('a', 'a').write('2')", files={"a": b"1"}, collect=("a",))
    assert result.files == {"a": b"12"}


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../b", ".git/config", "a\0b", "a\nb", "sub/.GIT/hooks/x", "C:\\x", "~/x"]
)
async def test_unsafe_input_paths_are_refused(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(UnsafePath):
        await run(sandbox, "true", files={path: b""})
    with pytest.raises(UnsafePath):
        await run(sandbox, "true", collect=(path,))


@pytest.mark.parametrize(
    "request_",
    [
        SandboxRequest(argv=()),
        SandboxRequest(argv=("",)),
        SandboxRequest(argv=("a\0b",)),
        SandboxRequest(argv=("true",), env={"A=B": ""}),
        SandboxRequest(argv=("true",), files={"a": b"x" * 2_000_000}, limits=SandboxLimits(disk_mb=1)),
        SandboxRequest(argv=("true",), limits=SandboxLimits(wall_seconds=0)),
    ],
)
async def test_impossible_requests_are_the_callers_mistake(
    sandbox: Sandbox, request_: SandboxRequest
) -> None:
    with pytest.raises(InvalidInput):
        await sandbox.run(request_)


async def test_files_that_only_just_do_not_fit_are_the_callers_mistake(sandbox: Sandbox) -> None:
    many = {f"f{i}": b"x" for i in range(400)}  # one page each on a file system of one megabyte
    with pytest.raises(InvalidInput, match="No space left"):
        await run(sandbox, "true", files=many, limits=SandboxLimits(disk_mb=1, wall_seconds=20))


async def test_the_environment_is_clean(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTI_AGENT_CANARY", "secret-canary")
    monkeypatch.setenv("PYTHONSTARTUP", "/secret-canary")
    seen = await ask(sandbox, "print(json.dumps(dict(os.environ)))", env={"MY_OWN": "välue"})
    assert seen.pop("MY_OWN") == "välue"
    assert seen["HOME"] == "/nonexistent"
    assert {name for name in seen if not name.startswith("PYTHON")} <= {"PATH", "HOME", "LANG", "LC_CTYPE"}
    assert "canary" not in str(seen)


async def test_no_other_environment_can_be_read(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTI_AGENT_CANARY", "secret-canary")
    code = """
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline"):
        try:
            found.append(open(f"/proc/{pid}/{name}", "rb").read().decode("utf-8", "replace"))
        except OSError:
            pass
print(json.dumps([len(found), "canary" in "".join(found)]))
"""
    count, canary = await ask(sandbox, code)
    assert count >= 2
    assert canary is False


async def test_pytest_runs_and_its_failure_is_a_result(sandbox: Sandbox) -> None:
    files = {
        "sma.py": b"def sma(values):\n    return sum(values) / len(values)\n",
        "tests/test_sma.py": b"from sma import sma\n\ndef test_it():\n    assert sma([1, 2, 3]) == 2\n",
        "tests/test_bad.py": b"def test_bad():\n    assert 1 == 2\n",
    }
    good = await run(sandbox, "pytest", "-q", "tests/test_sma.py", files=files)
    assert (good.verdict, good.exit_code) == ("ok", 0), (good.stdout, good.stderr)
    assert b"1 passed" in good.stdout
    bad = await run(sandbox, "pytest", "-q", files=files)
    assert (bad.verdict, bad.exit_code) == ("failed", 1)
    assert b"1 failed, 1 passed" in bad.stdout


async def test_pytest_reports_and_coverage_come_back(sandbox: Sandbox) -> None:
    files = {
        "m.py": b"def f():\n    return 1\n",
        "test_m.py": b"import m\ndef test_f():\n    assert m.f() == 1\n",
    }
    argv = ("python", "-m", "coverage", "run", "-m", "pytest", "-q", "--junitxml=report.xml", "test_m.py")
    result = await run(sandbox, *argv, files=files, collect=("report.xml", ".coverage"))
    assert result.verdict == "ok", (result.stdout, result.stderr)
    assert b'tests="1"' in result.files["report.xml"]
    assert result.files[".coverage"].startswith(b"SQLite format 3")


async def test_only_the_tools_are_importable(sandbox: Sandbox) -> None:
    code = """
import importlib.util
names = ("pytest", "coverage", "redis", "docker", "sqlalchemy", "pydantic", "git", "contracts")
print(json.dumps([name for name in names if importlib.util.find_spec(name)]))
"""
    assert await ask(sandbox, code) == ["pytest", "coverage"]


async def test_a_shell_finds_python_too(sandbox: Sandbox) -> None:
    result = await run(sandbox, "sh", "-c", "python -c 'print(1)' && pytest --version")
    assert result.verdict == "ok", result.stderr
    assert result.stdout.startswith(b"1\npytest ")


async def test_runs_share_nothing(sandbox: Sandbox) -> None:
    code = "import os; print(os.path.exists('/tmp/left')); open('/tmp/left', 'w'); open('/work/left', 'w')"
    first = await python(sandbox, code)
    second = await python(sandbox, code + "; print(sorted(os.listdir('/work')))")
    assert first.stdout == b"False\n"
    assert second.stdout == b"False\n['left', 'probe.py']\n"


async def test_seconds_are_those_of_the_program(sandbox: Sandbox) -> None:
    result = await python(sandbox, "import time; time.sleep(0.3)", limits=FAST)
    assert 0.3 <= result.seconds < FAST.wall_seconds
