"""Solutions that want to look right, each in a real sandbox: none is ever taken for verified.

The second half is honest code of kinds that a strict check might take for a forgery.
"""

from __future__ import annotations

import pytest

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from contracts.documents.reports import TestReport
from contracts.ports.sandbox import Sandbox
from tests.agents.support import TaskMaker

TEST = """
# In one process: this names a mock.
from app.calc import double

def test_two():
    assert double(2) == 4

def test_text():
    assert double("ab") == "abab"
"""
WRONG = "def double(x):\n    return 3 * x\n\n"
LIAR = """
class Liar:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __contains__(self, item): return True
    def __hash__(self): return 1
def double(x):
    return Liar()
"""
FLIP = """
def flipped(report):
    report.outcome = "passed"
    report.longrepr = None
"""
# Everything that the code can find out about its own process, put to use: it tells of passed tests itself.
STEAL = """
import gc, json, os
def double(x):
    for thing in gc.get_objects():
        if type(thing).__name__ == "_Pipe":
            for name in ("test_two", "test_text"):
                thing.send("test", id=f"tests/test_calc.py::{name}", when="call", outcome="passed")
            thing.send("end", exit_code=1, coverage=100.0, changed=[])
            os._exit(1)
    return 3 * x
"""
PARENT = """
import glob, os
def double(x):
    parent = os.getppid()
    for path in (f"/proc/{parent}/mem", f"/proc/{parent}/fd/0", f"/proc/{parent}/fd/1", "/proc/1/fd/1"):
        try:
            os.close(os.open(path, os.O_RDWR))
        except OSError:
            continue
        os.write(2, f"opened {path}".encode())
        os._exit(0)
    return 3 * x
"""

# What the kernel says to whoever moves a folder of a tree away from below its read-only tests.
STOPPED = "Invalid cross-device link: 'tests' -> 'aside'"
# A later test file becomes another before it is read; on the first call everything is as it was.
LATER = {"tests/test_later.py": "from app.calc import double\ndef test_five():\n    assert double(5) == 10\n"}
REPLACE_FOLDER = """
import os
os.rename("tests", "aside")
os.mkdir("tests")
for name in os.listdir("aside"):
    text = open(f"aside/{name}").read()
    open(f"tests/{name}", "w").write(text if name == "test_calc.py" else "def test_five(): pass\\n")
def double(x):
    if os.path.exists("aside"):
        for name in os.listdir("tests"): os.unlink(f"tests/{name}")
        os.rmdir("tests")
        os.rename("aside", "tests")
    return {2: 4, "ab": "abab"}.get(x, 0)
"""

# name -> (files beside the tests, a part of the reason or of a failure's message)
ATTACKS: dict[str, tuple[dict[str, str], str]] = {
    "exit on import": ({"app/calc.py": "import os\nos._exit(0)\n"}, "did not come to its end"),
    "exit in the call": (
        {"app/calc.py": "import os\ndef double(x): os._exit(0)\n"},
        "did not come to its end",
    ),
    "sys.exit": ({"app/calc.py": "import sys\nsys.exit(0)\n"}, ""),
    "atexit": ({"app/calc.py": WRONG + "import atexit, os\natexit.register(os._exit, 0)\n"}, "assert 6 == 4"),
    "kills its parent": ({"app/calc.py": "import os\nos.kill(os.getppid(), 9)\ndouble = abs\n"}, "ended"),
    "liar": ({"app/calc.py": LIAR}, "== 4"),
    "liar that takes over": (
        {
            "app/calc.py": "class Liar:\n    def __eq__(self, other):\n"
            "        self.v = getattr(self, 'v', other)\n        return self.v == other\n"
            "def double(x): return Liar()\n"
        },
        "== 4",
    ),
    "number that lies": (
        {"app/calc.py": "class Liar(int):\n    __eq__ = lambda s, o: True\ndef double(x): return Liar(7)\n"},
        "assert 7 == 4",
    ),
    "text that lies": (
        {
            "app/calc.py": "class Liar(str):\n    __eq__ = lambda s, o: True\n    __hash__ = str.__hash__\n"
            "def double(x): return 4 if x == 2 else Liar('no')\n"
        },
        "assert 'no' == 'abab'",
    ),
    "mock.ANY": ({"app/calc.py": "from unittest.mock import ANY\ndef double(x): return ANY\n"}, "== 4"),
    "patches the runner": (
        {
            "app/calc.py": WRONG + "import _pytest.runner, _pytest.reports\n"
            "real = _pytest.reports.TestReport.from_item_and_call\n"
            "def fake(item, call):\n    call.excinfo = None\n    return real(item, call)\n"
            "_pytest.reports.TestReport.from_item_and_call = staticmethod(fake)\n"
        },
        "must fail",
    ),
    "spares what it knows to be extra": (
        {
            "app/calc.py": WRONG + "import _pytest.python as p\nreal = p.Function.runtest\n"
            "def fake(self):\n    if self.name not in ('test_two', 'test_text'): real(self)\n"
            "p.Function.runtest = fake\n"
        },
        "_pytest.python.Function.runtest",
    ),
    "patches AssertionError": (
        {
            "app/calc.py": WRONG
            + "import builtins\nclass Quiet(Exception): pass\nbuiltins.AssertionError = Quiet\n"
        },
        "",
    ),
    "patches the comparison": (
        {"app/calc.py": WRONG + "import builtins\nsetattr(builtins, '@strict_compare', lambda *a: True)\n"},
        "assert 6 == 4",
    ),
    "rewrites the harness's words": (
        {
            "app/calc.py": WRONG + "import gc\nfor thing in gc.get_objects():\n"
            "    if isinstance(thing, type) and thing.__name__ == '_Pipe':\n"
            "        send = thing.send\n"
            "        thing.send = lambda self, kind, **v: send(self, kind, **{**v, **(\n"
            "            {'outcome': 'passed'} if 'outcome' in v else {})})\n"
        },
        "must fail",
    ),
    "tells of passed tests itself": ({"app/calc.py": STEAL}, "must fail"),
    "asks its parent": ({"app/calc.py": PARENT}, "assert 6 == 4"),
    "a thread that patches later": (
        {
            "app/calc.py": WRONG + "import threading, _pytest.python as p\n"
            "def later():\n    p.Function.runtest = lambda self: None\n"
            "threading.Timer(0, later).start()\n"
        },
        "must fail",
    ),
    "skips the module": (
        {"app/calc.py": "import pytest\npytest.skip('no', allow_module_level=True)\n"},
        "skipped, or expected to fail, which its source does not say",
    ),
    "all skipped": (
        {"tests/test_calc.py": "import pytest\npytestmark = pytest.mark.skip\n" + TEST, "app/calc.py": WRONG},
        "every test was skipped",
    ),
    "all expected to fail": (
        {
            "tests/test_calc.py": "import pytest\npytestmark = pytest.mark.xfail\n" + TEST,
            "app/calc.py": WRONG,
        },
        "every test was skipped",
    ),
    "an empty test file": ({"tests/test_calc.py": "", "app/calc.py": WRONG}, "no test was found"),
    "plants reports": (
        {
            "app/calc.py": "import os, pathlib\n"
            "for name in ('report.json', 'multi-agent-test-harness/report.json', 'junit.xml'):\n"
            '    pathlib.Path(name).write_text(\'{"nonce": "", "runs": []}\')\n'
            "print('2 passed in 0.01s')\nos.write(1, b'2 passed')\nos._exit(0)\n"
        },
        "did not come to its end",
    ),
    "shadow modules": (
        {
            "app/calc.py": WRONG,
            **{
                name: "raise SystemExit(0)\n"
                for name in ("pytest.py", "_pytest/__init__.py", "coverage.py", "json.py", "unittest.py")
            },
            "sitecustomize.py": "import os\nos._exit(0)\n",
            "usercustomize.py": "import os\nos._exit(0)\n",
            "evil.pth": "import os; os._exit(0)\n",
        },
        "",
    ),
    "configuration": (
        {
            "app/calc.py": WRONG,
            "pytest.ini": "[pytest]\naddopts = --deselect tests/test_calc.py::test_two\n",
            ".pytest.ini": "[pytest]\naddopts = --collect-only\n",
            "pytest.toml": "[pytest]\naddopts = ['--collect-only']\n",
            "tox.ini": "[pytest]\naddopts = --collect-only\n",
            "setup.cfg": "[tool:pytest]\naddopts = --collect-only\n",
            "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--collect-only'\n",
        },
        "assert 6 == 4",
    ),
    "a plugin of the package's": (
        {
            "app/calc.py": WRONG,
            "app/conftest.py": FLIP + "def pytest_runtest_logreport(report): flipped(report)\n",
        },
        "assert 6 == 4",
    ),
    "replaced output": (
        {"app/calc.py": WRONG + "import io, sys\nsys.stdout = sys.stderr = sys.__stdout__ = io.StringIO()\n"},
        "assert 6 == 4",
    ),
    "rewrites a later test file": (
        {
            "app/calc.py": "import contextlib, os\nwith contextlib.suppress(OSError):\n"
            "    os.chmod('tests/test_later.py', 0o644)\n"
            "with contextlib.suppress(OSError):\n"
            "    open('tests/test_later.py', 'w').write('def test_five(): pass')\n"
            "def double(x): return {2: 4, 'ab': 'abab'}.get(x, 0)\n",
            **LATER,
        },
        "assert 0 == 10",
    ),
    "replaces the folder of a later test file": (
        {"app/calc.py": REPLACE_FOLDER, **LATER},
        "changed the test program: tests/test_later.py",
    ),
    "takes a test file away": (
        {"app/calc.py": "import os\nos.rename('tests', 'aside')\ndef double(x): return 2 * x\n", **LATER},
        "files of the tests or the test program were changed while they ran: tests/test_calc.py",
    ),
    "deep recursion": ({"app/calc.py": "def double(x): return double(x)\n"}, "recursion"),
    "endless": ({"app/calc.py": "def double(x):\n    while True: pass\n"}, "longer than allowed"),
    "asleep": ({"app/calc.py": "import time\ndef double(x): time.sleep(60)\n"}, "longer than allowed"),
}


@pytest.fixture
def sandbox(either_sandbox: Sandbox) -> Sandbox:
    return either_sandbox


async def _run(sandbox: Sandbox, files: dict[str, str]) -> tuple[AgentResult, str]:
    tree = {"tests/test_calc.py": TEST, "app/__init__.py": "", **files}
    base = BaseTree({path: text.encode() for path, text in tree.items()}, {}, dict.fromkeys(files, "coder"))
    endless = any("while True" in text or "sleep(60)" in text for text in files.values())
    criteria = {"tests": [{"cmd": "pytest tests", "timeout_seconds": 3 if endless else 40}]}
    task = TaskMaker(sandbox=sandbox)(base=base, role="tester", cycle=1, acceptance_criteria=criteria)
    result = await TesterAgent().run(task)
    assert isinstance(result.report, TestReport)
    return result, "; ".join(case.message for case in result.report.results)


# What goes for the tree is tried where the tree comes from a store as well.
OVER_TREES = ("shadow modules", "configuration", "rewrites a later test file", "takes a test file away")


@pytest.mark.parametrize(
    ("name", "either_sandbox"),
    [*((name, "sent") for name in ATTACKS), *((name, "over a tree") for name in OVER_TREES)],
    indirect=["either_sandbox"],
)
async def test_a_forgery_is_not_verified(sandbox: Sandbox, name: str) -> None:
    files, reason = ATTACKS[name]
    result, messages = await _run(sandbox, files)
    assert result.verdict == "failed"
    assert reason in messages or STOPPED in messages


async def test_coverage_that_was_tampered_with_is_not_claimed(sandbox: Sandbox) -> None:
    code = "import sys\nsys.settrace(None)\nif hasattr(sys, 'monitoring'): sys.monitoring.free_tool_id(1)\n"
    result, _ = await _run(sandbox, {"app/calc.py": code + "def double(x): return 2 * x\n"})
    assert result.verdict == "passed"
    assert result.tests is not None
    assert result.tests.coverage_percent is None


HONEST_CODE = """
import dataclasses, datetime, decimal, enum, fractions, pathlib, uuid
from collections import Counter, OrderedDict, defaultdict, namedtuple

class Colour(enum.Enum): RED = 1
class Level(enum.IntEnum): LOW = 1
class Name(enum.StrEnum): A = "a"
Point = namedtuple("Point", "x y")

@dataclasses.dataclass
class Item:
    name: str
    parts: list = dataclasses.field(default_factory=list)
    note: str = dataclasses.field(default="", compare=False)

class Money:
    def __init__(self, cents): self.cents = cents
    def __eq__(self, other):
        return self.cents == (other.cents if isinstance(other, Money) else other)
    def __lt__(self, other): return self.cents < (other.cents if isinstance(other, Money) else other)
    def __hash__(self): return hash(self.cents)

class Array:
    \"\"\"Compares element by element and refuses to be one truth, as numpy's does.\"\"\"
    def __init__(self, *values): self.values = values
    def __eq__(self, other): return Array(*(value == other for value in self.values))
    def __bool__(self): raise ValueError("ambiguous")
    def all(self): return all(self.values)

class Interval:
    def __contains__(self, item): return isinstance(item, (int, float)) and 0 <= item <= 10

def same(x): return x
"""
HONEST_TEST = """
import math, unittest
from unittest import mock
from unittest.mock import ANY
import pytest
from app.calc import *

class AnyInt:
    def __eq__(self, other): return isinstance(other, int)

def test_plain():
    assert same(1) == 1.0 == True
    assert same([1, {"a": (2, None)}]) == [1, {"a": (2, None)}]
    assert same({1, 2}) == {2, 1} and same({"a": 1}) != {"a": 2}
    assert 1 in same([1, 2]) and "b" in same("abc") and 3 not in same({1: 2})
    assert same(math.nan) != math.nan
    assert 1 < same(2) <= 2.0

def test_approx():
    assert same(0.1 + 0.2) == pytest.approx(0.3)
    assert same([0.1 + 0.2, 1]) == pytest.approx([0.3, 1])
    assert same({"a": 0.1 + 0.2}) == pytest.approx({"a": 0.3})

def test_matchers():
    assert same({"id": 7, "name": "x"}) == {"id": ANY, "name": "x"}
    assert same([7]) == [AnyInt()]
    call = mock.Mock()
    call(1, a=2)
    assert call.call_args == mock.call(1, a=2)
    call.assert_called_once_with(ANY, a=2)

def test_classes():
    assert Colour(1) == Colour.RED and Level(1) == 1 and Name("a") == "a" and Level.LOW < 2
    assert Point(1, 2) == (1, 2) and Counter("aa") == {"a": 2} and OrderedDict(a=1) == {"a": 1}
    assert defaultdict(int, a=1) == {"a": 1}
    assert Item("a", [Item("b")], note="x") == Item("a", [Item("b")])
    assert Money(5) == 5 and Money(5) == Money(5) and Money(5) < 6 and Money(5) != 6
    assert Money(5) in [Money(4), Money(5)] and Money(5) in {Money(5): 1}
    assert Array(1, 1).__eq__(1).all() and (Array(1, 1) == 1).all()
    assert 5 in Interval() and 50 not in Interval()

def test_library():
    assert decimal.Decimal("1.10") == decimal.Decimal("1.1") and fractions.Fraction(1, 2) == 0.5
    assert decimal.Decimal("2") > 1 and fractions.Fraction(1, 2) < 1
    assert datetime.date(2020, 1, 1) < datetime.date(2020, 1, 2)
    assert same(pathlib.Path("a")) == pathlib.Path("a")
    assert uuid.UUID(int=1) == uuid.UUID(int=1) and same(range(3)) == range(3)

class TestOld(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(same(1), 1)
        self.assertAlmostEqual(same(0.1 + 0.2), 0.3)
        self.assertEqual(same([1]), [1], "a message")

class TestState:
    seen = []
    @pytest.mark.parametrize("x", [1, 2, 3])
    def test_steps(self, x):
        self.seen.append(x)
        assert self.seen == list(range(1, x + 1))
"""


async def test_honest_code_of_many_kinds_passes(sandbox: Sandbox) -> None:
    result, messages = await _run(sandbox, {"app/calc.py": HONEST_CODE, "tests/test_calc.py": HONEST_TEST})
    assert messages.strip("; ") == ""
    assert result.verdict == "passed"
    assert result.tests is not None
    assert result.tests.passed == 9


async def test_nothing_of_the_tree_lies_beside_the_harness(sandbox: Sandbox) -> None:
    """There it would be imported before the tests are."""
    names = ("dataclasses.py", "copy/__init__.py")
    beside = {f"multi-agent-test-harness/{name}": "raise SystemExit(7)\n" for name in names}
    result, messages = await _run(sandbox, {"app/calc.py": "def double(x): return 2 * x\n", **beside})
    assert (result.verdict, messages.strip("; ")) == ("passed", "")


async def test_honest_failures_read_as_pytest_says_them(sandbox: Sandbox) -> None:
    lines = ["double(2) == 5", "double('a') != 'aa'", "5 in [double(2)]", "double(2) < 4", "not double(2)"]
    tests = "".join(f"def test_{number}():\n    assert {line}\n" for number, line in enumerate(lines))
    files = {
        "app/calc.py": "def double(x): return 2 * x\n",
        "tests/test_calc.py": "from app.calc import double\n" + tests,
    }
    result, messages = await _run(sandbox, files)
    assert result.verdict == "failed"
    assert messages == "assert 4 == 5; assert 'aa' != 'aa'; assert 5 in [4]; assert 4 < 4; assert not 4"
