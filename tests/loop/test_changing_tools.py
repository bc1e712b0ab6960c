"""Diffs, tests by name, the list of what is to be done, and what the repository's linter says of a change."""

from __future__ import annotations

import sys

import pytest

from agents.tools.bench import Bench
from agents.tools.test_output import MOST_SHOWN
from tests.loop.test_tools import show

TWO = "def one():\n    return 1\n\n\ndef two():\n    return 2\n"
DIFF = """--- a/m.py
+++ b/m.py
@@ -1,2 +1,3 @@
 def one():
-    return 1
+    value = 1
+    return value
@@ -50,2 +51,2 @@ def two
 def two():
-    return 2
+    return 22
--- /dev/null
+++ b/new/n.py
@@ -0,0 +1,2 @@
+x = 1
+y = 2
--- a/crlf.txt
+++ b/crlf.txt
@@ -1,1 +1,1 @@
-one
+1
"""


async def test_a_diff_is_applied_whole_whatever_its_line_numbers_say(bench: Bench) -> None:
    await show(bench, "write", path="m.py", content=TWO)
    shown = await show(bench, "patch", diff=DIFF)
    assert shown.startswith(
        "4 hunks applied to m.py, new/n.py, crlf.txt\nm.py, lines 1-3:\n     1\tdef one():\n"
    )
    assert "\nm.py, lines 6-7:\n     6\tdef two():\n     7\t    return 22\nnew/n.py, lines 1-2:\n" in shown
    changed = TWO.replace("    return 1", "    value = 1\n    return value").replace("2\n", "22\n")
    assert await bench.workspace.read("m.py") == changed.encode()
    assert await bench.workspace.read("new/n.py") == b"x = 1\ny = 2\n"
    assert (await bench.workspace.read("crlf.txt")).startswith(b"1\r\n")
    assert bench.written == {"m.py", "new/n.py", "crlf.txt"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "-    return 2\n",
            "-    retrun 2\n",
            "m.py, hunk 2 (@@ -50): its lines do not stand there; nearest are",
        ),
        (
            " def two():\n-    return 2\n",
            "-\n",
            "m.py, hunk 2 (@@ -50): its lines stand at 4, 5, 8; give more",
        ),
        ("+    return 22", "+    return (22", "would break it: file 'm.py'"),
        ("b/new/n.py", "b/deep/n.py", "the repository's own files stay"),
        ("b/new/n.py", "b/a.txt", "a.txt is there already"),
        ("+++ b/new/n.py", "+++ /dev/null", "deletes /dev/null"),
        ("--- a/crlf.txt", "--- a/a.txt", "renames a.txt"),
        ("crlf.txt", "m.py", "a file stands twice in it"),
        ("--- ", "", "no unified diff"),
    ],
)
async def test_a_diff_that_does_not_fit_changes_nothing(bench: Bench, old: str, new: str, says: str) -> None:
    await show(bench, "write", path="m.py", content=TWO)
    shown = await show(bench, "patch", diff=DIFF.replace(old, new))
    assert shown.startswith("refused: ")
    assert says in shown
    assert await bench.workspace.read("m.py") == TWO.encode()
    assert await show(bench, "find", pattern="new/*") == "nothing is there"


async def test_tests_are_run_by_their_names(bench: Bench) -> None:
    assert "no command is known" in await show(bench, "test")
    bench.test_for = lambda paths: ("echo", *paths)
    await show(bench, "write", path="first_test.txt", content="")
    assert (await show(bench, "test")).endswith("first_test.txt"), "the first tests of a repository"
    bench.test = ("echo", "tests")
    assert (await show(bench, "test", tests=["t/a.py::test_b", "x y"])).endswith("tests t/a.py::test_b x y")
    assert await show(bench, "test", tests=["-p", "evil"]) == (
        "refused: '-p' is no test; for options use `run`"
    )


async def test_the_linter_tells_what_is_new_alone(bench: Bench) -> None:
    await show(bench, "write", path="m.txt", content="bad one\nfine\n")
    finds = "import sys; lines = enumerate(open(sys.argv[1]), 1)"
    finds += "; [print(f'{sys.argv[1]}:{n}: {t.strip()}') for n, t in lines if 'bad' in t]"
    bench.lint = (sys.executable.rpartition("/")[2], "-c", finds, "{file}")
    shown = await show(bench, "edit", path="m.txt", old="fine\n", new="fine\nbad two\n")
    assert shown.endswith("\nnew for the linter:\nm.txt:3: bad two")
    shown = await show(bench, "edit", path="m.txt", old="bad one", new="first\nbad one")
    assert "linter" not in shown, "what was there has only moved"
    commands = bench.commands
    await show(bench, "edit", path="m.txt", old="first", new="second")
    assert bench.commands == commands + 1, "what it said before is known"
    bench.lint, bench.lint_seconds = ("sleep", "60"), 0.2
    await show(bench, "edit", path="m.txt", old="second", new="third")
    assert not bench.lint, "one that takes too long is not asked again"


async def test_much_that_tests_print_ends_nothing_and_stays_in_a_file(bench: Bench) -> None:
    noise = "echo begin; seq 1 300000; echo 'FAILED t/test_a.py::test_b - x'"
    noise += "; echo '== 1 failed, 2 passed in 1s =='"
    bench.test = ("sh", "-c", f"{noise}; exit 1", "sh")
    shown = await show(bench, "test")
    assert shown.startswith(
        "exit code 1\n== 1 failed, 2 passed in 1s ==\nFAILED t/test_a.py::test_b - x\nbegin\n1\n2\n"
    )
    assert "all of it is in /tmp/test-output.txt: look with `run`" in shown
    assert len(shown) < MOST_SHOWN + 500
    assert (
        await show(bench, "run", command="grep -n ^123456$ /tmp/test-output.txt")
        == "exit code 0\n123457:123456"
    )
    bench.test = ("echo", "FAILED t/test_a.py::test_b - x")
    assert (await show(bench, "test")).count("FAILED") == 1, "what is shown whole is not named before it"
    bench.test = ("sh", "-c", "echo before; sleep 30", "sh")
    assert await show(bench, "test", seconds=1) == "it was ended at its limit of time\nbefore"
    bench.test = ("head", "-c", "17000000", "/dev/zero")
    assert "(16000000 bytes before this are not kept)" in await show(bench, "test")


async def test_a_pytest_whose_settings_say_otherwise_names_what_failed(bench: Bench) -> None:
    await show(bench, "write", path="pytest.ini", content="[pytest]\naddopts = -rx --tb=short\n")
    test = "def test_one():\n    print('x\\n' * 9_000)\n    assert False\n"
    await show(bench, "write", path="test_much.py", content=test)
    bench.test = (sys.executable.rpartition("/")[2], "-m", "pytest", "-p", "no:cacheprovider")
    first, second, third, *_ = (await show(bench, "test")).splitlines()
    assert (first, "1 failed in" in second) == ("exit code 1", True)
    assert third.startswith("FAILED test_much.py::test_one")


async def test_the_count_of_a_pytest_within_the_tests_is_not_theirs(bench: Bench) -> None:
    inner = "echo \"E  and: '== 1 passed in 2s =='\"; echo '== 1 passed in 1s =='"
    bench.test = ("sh", "-c", f"seq 1 9999; {inner}; echo '== 1 failed in 3s =='; exit 1", "sh")
    assert (await show(bench, "test")).startswith("exit code 1\n== 1 failed in 3s ==\n1\n2\n")
    bench.test = ("echo", "== 1 passed in 1s ==")
    assert await show(bench, "test") == "exit code 0\n== 1 passed in 1s ==", "said once where all is shown"


async def test_where_tests_fail_it_is_said_what_failed_before_any_work(bench: Bench) -> None:
    async def on_base() -> str:
        return "failed then, too: t/a.py::test_b"

    bench.on_base = on_base
    bench.test = ("sh", "-c", "echo shown; exit $1", "sh")
    assert await show(bench, "test", tests=["1"]) == "exit code 1\nfailed then, too: t/a.py::test_b\nshown"
    assert await show(bench, "test", tests=["0"]) == "exit code 0\nshown"
