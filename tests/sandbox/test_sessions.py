"""What a test session relies on, by every backend: files that stay as they are, and runs that end whole."""

from __future__ import annotations

import json
import zlib
from importlib import resources
from typing import Any

import pytest

from contracts.base.errors import InvalidInput
from contracts.ports.sandbox import Sandbox
from tests.sandbox.probing import ask, run

# Each way to change a file, tried one after the other; then what the files hold.
CHANGES = """
def write(mode): return lambda: open("tests/a.py", mode).write("changed")
def chmod(): os.chmod("tests/a.py", 0o644); open("tests/a.py", "w").write("changed")
def replace(): open("new", "w").write("changed"); os.replace("new", "tests/a.py")
ways = [write("w"), write("a"), write("r+"), chmod, replace, lambda: os.truncate("tests/a.py", 0)]
ways.append(lambda: os.unlink("tests/a.py"))
refused = 0
for way in ways:
    try:
        way()
    except OSError:
        refused += 1
open("tests/b.py", "w").write("changed")
open("tests/new.py", "w").write("new")
print(json.dumps([refused == len(ways), open("tests/a.py").read(), open("tests/b.py").read()]))
"""
TREE = {"tests/a.py": b"as it was", "tests/b.py": b"as it was"}


async def test_a_read_only_file_stays_and_the_rest_is_free(sandbox: Sandbox) -> None:
    seen = await ask(sandbox, CHANGES, files=TREE, read_only=("tests/a.py",))
    assert seen == [True, "as it was", "changed"]


async def test_without_a_word_every_file_can_be_changed(sandbox: Sandbox) -> None:
    assert (await ask(sandbox, CHANGES.replace('os.unlink("tests/a.py")', "None"), files=TREE))[1] == ""


async def test_a_read_only_file_must_be_one_of_the_files(sandbox: Sandbox) -> None:
    with pytest.raises(InvalidInput, match=r"read_only: 'nothing\.py' is none of the files"):
        await run(sandbox, "true", files=TREE, read_only=("nothing.py",))


LEAVES_A_CHILD = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        while True:
            with open("data", "w") as file:
                file.write("changed")
            time.sleep(0.001)
    os._exit(0)
while open("data").read() != "changed":
    time.sleep(0.001)
"""
LOOKS_AROUND = """
import json, os, sys, time
order = json.loads(sys.stdin.buffer.read())
with open("data", "w") as file:
    file.write("mine")
time.sleep(0.3)
others = [pid for pid in os.listdir("/proc") if pid.isdigit()]
event = {"token": order["token"], "data": open("data").read(), "processes": len(others)}
os.write(order["pipe"], json.dumps(event).encode() + b"\\n")
"""
REWRITES = "import os\nos.chmod('data', 0o644)\nopen('data', 'w').write('changed')\n"
MOVES = "import os\nos.rename('folder', 'other')\n"


async def _session(sandbox: Sandbox, *scripts: str, unchanged: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    supervisor = resources.files("agents.testing").joinpath("harness/supervise.py").read_bytes()
    files = {f"{number}.py": text.encode() for number, text in enumerate(scripts)}
    files |= {"supervise.py": supervisor, "data": b"as it was", "folder/data": b"as it was"}
    runs = [{"argv": ["python", f"{number}.py"], "order": {}} for number in range(len(scripts))]
    order = json.dumps({"nonce": "n", "runs": runs, "unchanged": unchanged}).encode()
    ended = await run(sandbox, "python", "-I", "-S", "supervise.py", files=files, stdin=order)
    assert ended.exit_code == 0, ended.stderr
    found: list[dict[str, Any]] = json.loads(zlib.decompress(ended.stdout))["runs"]
    return found


async def test_what_a_run_leaves_behind_is_dead_before_the_next(sandbox: Sandbox) -> None:
    [alone] = await _session(sandbox, LOOKS_AROUND)
    _, second = await _session(sandbox, LEAVES_A_CHILD, LOOKS_AROUND)
    assert second["events"] == alone["events"]
    assert second["events"][0]["data"] == "mine"


async def test_a_file_that_a_run_changed_is_named(sandbox: Sandbox) -> None:
    unchanged = ("1.py", "data", "folder/data")
    first, second, third = await _session(sandbox, "", REWRITES, MOVES, unchanged=unchanged)
    assert (first["rewritten"], second["rewritten"]) == ([], ["data"])
    assert third["rewritten"] == ["data", "folder/data"]
