"""Tests in one process and their code in another: what serves them, what does not, what code can do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from agents.testing.apart.choosing import ApartTests, apart_tests
from agents.testing.harness.apart import stand_ins, wire
from agents.testing.python_tests import declared_in_python
from contracts.documents.reports import TestReport
from contracts.ports.sandbox import Sandbox
from tests.agents.support import TaskMaker

SHOP = """
import dataclasses, enum, os

DEFAULTS = {"a": 1}

class Broke(ValueError):
    def __init__(self, amount):
        super().__init__(f"short of {amount}")
        self.amount = amount

class Colour(enum.Enum):
    RED = 1
    BLUE = 2

class Point:
    "Where it is."
    __slots__ = ("x",)
    class Inner: pass

@dataclasses.dataclass
class Item:
    name: str
    price: float = 1.0

class Cart:
    def __init__(self): self.items, self.log = [], {}
    def add(self, item):
        self.items.append(item)
        self.log[item.name] = item
        return self
    def total(self): return sum(item.price for item in self.items)
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __contains__(self, item): return item in self.items or item in self.names
    def __enter__(self): return self
    def __exit__(self, *_): self.items.clear()
    @property
    def names(self): return [item.name for item in self.items]

def sort(values: list) -> None:
    "In place."
    values.sort()
def same(value): return value
def copied(values): return list(values)
def pays(amount): raise Broke(amount)
def greets(): print("hello")
def counts(end): yield from range(end)
def parsed(text):
    if not text: raise ValueError("empty")
    return {"n": len(text), "words": text.split()}
def writes(path): path.write_text("x")
def name(): return os.environ.get("SHOP_NAME")
def applies(function, value): return function(value)
"""
APART = """
import datetime, decimal, math, uuid
import pytest
import app.shop as shop
from app.shop import *

@pytest.fixture
def cart():
    return Cart()

def test_objects(cart):
    item = Item("pen", 2.5)
    assert cart.add(item) is cart and len(cart) == 1
    assert cart.items == [Item("pen", 2.5)] and cart.items[0] is item
    assert item in cart and "pen" in cart and "cap" not in cart and "pen" in cart.log.keys()
    assert cart.names == ["pen"] and cart.log == {"pen": item}
    item.price = 3
    assert cart.total() == 3
    cart.items.append(Item("cap"))
    assert len(cart) == 2 and [part.name for part in cart] == ["pen", "cap"]
    assert isinstance(item, Item) and not isinstance(3, Item)
    with cart as held:
        assert held is cart
    assert len(cart) == 0

def test_containers_are_the_same_on_both_sides():
    values = [3, 1, 2]
    sort(values)
    assert values == [1, 2, 3] and same(values) is values
    assert copied(values) is not values and copied(values) == values
    nested = {"a": [1]}
    same(nested)["a"].append(2)
    assert nested == {"a": [1, 2]} == same(nested)
    shop.DEFAULTS["b"] = 2
    assert shop.DEFAULTS == {"a": 1, "b": 2}
    del shop.DEFAULTS["b"]

def test_values_keep_their_types():
    plain = (2**80, -1.5, 1j, b"\\x00", None, True, (1, (2,)), frozenset({1}), range(3), ..., "\\ud800")
    made = (decimal.Decimal("1.10"), datetime.date(2020, 1, 2), uuid.UUID(int=7), bytearray(b"x"), {1, 2})
    for value in plain + made:
        assert same(value) == value and type(same(value)) is type(value)
    assert math.isnan(same(math.nan)) and same(int) is int and applies(len, "abc") == 3

def test_exceptions():
    with pytest.raises(ValueError, match="short of 3") as caught:
        pays(3)
    assert caught.value.amount == 3 and isinstance(caught.value, Broke)
    with pytest.raises(ValueError, match="^empty$"):
        parsed("")

def test_output(capsys):
    greets()
    assert capsys.readouterr().out == "hello\\n"

def test_generators():
    assert list(counts(3)) == [0, 1, 2]
    left = counts(1)
    assert next(left) == 0
    with pytest.raises(StopIteration):
        next(left)

@pytest.mark.parametrize("colour", [Colour.RED, Colour.BLUE])
def test_enums(colour):
    assert Colour(colour.value) is colour and colour in Colour and Colour["RED"] is list(Colour)[0]

def test_what_things_say_of_themselves():
    assert not hasattr(shop, "__all__") and {"Cart", "DEFAULTS"} <= set(vars(shop)) and shop.__doc__ is None
    assert Point.__slots__ == ("x",) and Point.__doc__ == "Where it is." and not hasattr(Cart, "__slots__")
    assert Point.__mro__ == (Point, object) and Point.Inner.__qualname__ == "Point.Inner"
    assert sort.__doc__ == "In place." and sort.__module__ == "app.shop" and same.__doc__ is None
    assert sort.__annotations__ == {"values": list, "return": None} and Item.__annotations__["price"] is float

def test_surroundings(tmp_path, monkeypatch):
    writes(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "x"
    monkeypatch.setenv("SHOP_NAME", "ours")
    assert name() == "ours"
"""
TOGETHER = """
import contextlib
import pytest
from app.shop import *

@contextlib.contextmanager
def ended():
    yield
    applies(lambda text: int(text), "x")

def test_an_end_that_raises():
    with pytest.raises(ValueError) as caught, ended():
        pass
    assert "invalid literal" in str(caught.value)

def test_a_function_of_the_tests():
    assert applies(lambda value: value + 1, 1) == 2

def test_a_class_of_the_tests():
    class Half(Item):
        price = 0.5
    assert Half("x").name == "x"

def test_what_is_nested_too_deep():
    value = ()
    for _ in range(3000):
        value = (value,)
    try:
        same(value)
    except RecursionError:
        return

def test_what_swallows_everything():
    try:
        applies(lambda value: value, 1)
    except BaseException:
        assert False
"""


async def _run(sandbox: Sandbox, files: dict[str, str], cmd: str = "pytest tests") -> AgentResult:
    base = BaseTree({path: text.encode() for path, text in files.items()})
    criteria = {"tests": [{"cmd": cmd, "timeout_seconds": 60}]}
    task = TaskMaker(sandbox=sandbox)(base=base, role="tester", cycle=1, acceptance_criteria=criteria)
    return await TesterAgent().run(task)


def _cases(result: AgentResult) -> dict[str, tuple[str, bool]]:
    assert isinstance(result.report, TestReport)
    return {case.test_id.partition("::")[2]: (case.outcome, case.apart) for case in result.report.results}


async def test_ordinary_tests_run_apart(sandbox: Sandbox) -> None:
    """No other run follows; what was covered is known all the same."""
    files = {"app/__init__.py": "", "app/shop.py": SHOP, "tests/test_shop.py": APART}
    result = await _run(sandbox, files)
    assert set(_cases(result).values()) == {("passed", True)}
    assert result.verdict == "passed"
    assert result.tests is not None
    assert result.tests.apart == result.tests.passed == len(_cases(result)) == 10
    assert (result.tests.coverage_percent or 0) > 90


async def test_what_runs_inside_of_the_code_runs_together_with_it(sandbox: Sandbox) -> None:
    files = {"app/__init__.py": "", "app/shop.py": SHOP, "tests/test_shop.py": TOGETHER}
    more = {"tests/test_more.py": "from app.shop import same\ndef test_more():\n    assert same(1) == 1\n"}
    result = await _run(sandbox, {**files, **more})
    assert result.verdict == "passed"
    cases = _cases(result)
    assert cases.pop("test_more") == ("passed", True)
    assert set(cases.values()) == {("passed", False)}


TWICE = """
from app.calc import double
def test_two():
    assert double(2) == 4
def test_three():
    assert double(3) == 6
def test_files(tmp_path):
    import filecmp
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    assert not filecmp.cmp(tmp_path / "a", tmp_path / "b", shallow=False)
"""
FORGED = {
    "evaluates what it is given": "import builtins\ndef double(x): return 4 if x == 2 else builtins.eval\n",
    "another process's memory": "import os\nopen(f'/proc/{os.getppid()}/mem', 'r+b')\ndouble = int\n",
    "plants modules beside the tests": """
import pathlib, sys
for place in (".", "tests"):
    for name in ("difflib", "json", "conftest", "test_calc_more", "shlex", "pdb"):
        for text in ("import os; os._exit(0)",):
            pathlib.Path(place, f"{name}.py").write_text(text)
def double(x): return 4
""",
    "says that it lies elsewhere": """
import pathlib
for place in ("/tmp/else", "else"):
    pathlib.Path(place).mkdir(exist_ok=True)
    pathlib.Path(place, "more.py").write_text("import os\\nos._exit(0)\\n")
    __path__ = [place, "/tmp/else"]
def double(x): return 4 if x == 2 else __import__("app.calc.more")
""",
    "becomes a library of the tests": """
import pathlib
for place in (".", "tests", "src"):
    pathlib.Path(place).mkdir(exist_ok=True)
    pathlib.Path(place, "filecmp.py").write_text("def cmp(*_): return True\\n")
def double(x): return 4
""",
    "learns what it is compared with": """
class Learner:
    seen = None
    def __eq__(self, other):
        if type(other) is not int or abs(other) > 10**6: return False
        self.seen = other if self.seen is None else self.seen
        return other == self.seen
    __hash__ = object.__hash__
def double(x): return Learner()
""",
    "a number that learns": """
class Learner(int):
    seen = None
    def __eq__(self, other):
        if type(other) is not int or abs(other) > 10**6: return False
        Learner.seen = other if self.seen is None else self.seen
        return other == self.seen
    __hash__ = int.__hash__
    def __add__(self, other): return self.seen or 0
def double(x): return 4 if x == 2 else Learner()
""",
    "answers by itself": """
import socket, sys, os
for number in range(3, 20):
    try: socket.socket(fileno=number).send(b"\\x00\\x00\\x00\\x06[[],6]")
    except OSError: pass
def double(x): return 4
""",
}


@pytest.mark.parametrize("name", FORGED)
async def test_code_apart_changes_nothing_but_its_answers(sandbox: Sandbox, name: str) -> None:
    files = {"app/__init__.py": "", "app/calc.py": FORGED[name], "tests/test_calc.py": TWICE}
    result = await _run(sandbox, files)
    assert result.verdict == "failed"


# Wrong code, not malicious: what it does is seen from another process as it is from its own.
MISTAKEN = {
    "does not clear": (
        "import enum\nclass Kind(enum.Enum): A = 1\nclass Stock:\n"
        "    def __init__(self): self.items = {Kind.A: 2}\n"
        "    def clear(self): pass\n    def total(self): return sum(self.items.values())\n",
        "def test_it():\n    s = Stock()\n    assert s.items == {Kind.A: 2}\n    s.clear()\n"
        "    assert s.total() == 0\n",
    ),
    "stays elsewhere": (
        "import os\ndef build(place): os.chdir(place)\n",
        "import os\ndef test_it(tmp_path):\n    before = os.getcwd()\n    build(tmp_path)\n"
        "    assert os.getcwd() == before\n",
    ),
    "holds everything": (
        "class Box:\n    def __contains__(self, item): return True\n",
        "def test_it():\n    assert 1 in Box()\n",
    ),
    "equals everything": (
        "class Box:\n    def __eq__(self, other): return True\n    __hash__ = None\n",
        "def test_it():\n    assert Box() == Box()\n",
    ),
    "is a dict, of a kind": (
        "import collections\ndef all(): return collections.OrderedDict(a=1)\n",
        "def test_it():\n    assert isinstance(all(), dict) is False\n",
    ),
    "tells of what came before": (
        "def read():\n    try: {}[1]\n    except KeyError: raise ValueError('none')\n",
        "def test_it():\n    try: read()\n    except ValueError as error: found = error\n"
        "    assert found.__suppress_context__ or found.__context__ is None\n",
    ),
    "exports nothing by name": (
        "def total(): return 1\n",
        "import app.calc\ndef test_it():\n    assert 'total' in app.calc.__all__\n",
    ),
    "gives its own list": (
        "class Box:\n    def __init__(self): self._all = [1]\n    def all(self): return self._all\n",
        "def test_it():\n    box = Box()\n    box.all().append(2)\n    assert box.all() == [1]\n",
    ),
}


@pytest.mark.parametrize("name", MISTAKEN)
async def test_what_is_wrong_is_wrong_apart(sandbox: Sandbox, name: str) -> None:
    code, test = MISTAKEN[name]
    tests = {"tests/test_calc.py": f"from app.calc import *\n{test}"}
    result = await _run(sandbox, {"app/__init__.py": "", "app/calc.py": code, **tests})
    assert result.verdict == "failed"
    assert _cases(result) == {"test_it": ("failed", False)}


@pytest.mark.parametrize("cmd", ["pytest -k test tests", "pytest tests"])
async def test_all_tests_of_a_command_count(sandbox: Sandbox, cmd: str) -> None:
    """A test that cannot run apart is run, also where the command selects and the others all passed."""
    files = {
        "app/__init__.py": "",
        "app/calc.py": "def double(x): return 4\n",
        "tests/test_a.py": "from app.calc import double\ndef test_two():\n    assert double(2) == 4\n",
        "tests/test_b.py": "from unittest import mock\nfrom app.calc import double\n"
        "def test_four():\n    assert double(4) == 4\n"
        "def test_three():\n    assert mock and double(3) == 6\n",
    }
    result = await _run(sandbox, files, cmd)
    passed = {"test_two": ("passed", True), "test_four": ("passed", True)}
    assert _cases(result) == {**passed, "test_three": ("failed", False)}
    assert result.verdict == "failed"


async def test_what_tests_leave_behind_is_gone_when_they_run_again(sandbox: Sandbox) -> None:
    code = "import os\ndef make(name): os.mkdir(name)\ndef call(function): return function()\n"
    tests = (
        "from app.calc import *\ndef test_make():\n    make('made')\ndef test_call():\n    call(lambda: 1)\n"
    )
    result = await _run(sandbox, {"app/__init__.py": "", "app/calc.py": code, "tests/test_calc.py": tests})
    assert _cases(result) == {"test_make": ("passed", True), "test_call": ("passed", False)}


class Names:
    """A process of code that names as plain data what is none."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def ask(self, _action: str, value: Any, _name: str) -> Any:
        return value

    def refuse(self, reason: str) -> BaseException:
        self.refused.append(reason)
        return RuntimeError(reason)


def test_a_class_that_is_called_like_builtin_data_is_none() -> None:
    peer = Names()
    kind = stand_ins.make_class(peer, 1, (("int", "int", "app"), [], False, "int"), [])
    with pytest.raises(RuntimeError):
        stand_ins.Beside.lies(stand_ins.make_value(kind, 2, None), 6)
    assert peer.refused == ["a int of the code is none"]


def test_which_files_may_run_apart() -> None:
    plain = b"from app import f\ndef test_f():\n    assert f() == 1\n"
    files = {
        "tests/test_a.py": plain,
        "tests/test_env.py": b"def test_f(monkeypatch):\n    monkeypatch.setenv('A', 'b')\n",
        "tests/test_part.py": b"import random\ndef test_f():\n    assert version(patch=random.random())\n",
        "tests/test_all.py": b"import gc\ngc.disable()\n" + plain,
        "tests/test_mark.py": b"import pytest\npytestmark = pytest.mark.asyncio\n" + plain,
        "tests/test_star.py": b"from unittest.mock import *\n" + plain,
        "tests/test_old.py": b"import gc\nprint 'old'\n",
        "tests/deep/test_b.py": plain,
    }
    hook = b"def pytest_runtest_call(): gc.collect()\n"
    fixtures = {"tests/conftest.py": b"", "tests/deep/conftest.py": hook}
    named = ("tests/test_a.py", "tests/test_env.py", "tests/test_part.py")
    assert apart_tests(files, fixtures) == ApartTests(named)
    assert apart_tests({f"tests/test_{number}.py": plain for number in range(21)}, {}) == ApartTests()
    assert apart_tests({"tests/test_a.py": plain * 10_000}, {}) == ApartTests()


MIXED = b"""
import logging, random, time
import unittest.mock
from unittest import mock, TestCase
import gc as collector
try:
    import asyncio
except ImportError:
    asyncio = None

LEVELS = [logging.INFO]
WAYS = LEVELS

@pytest.fixture(name="quiet")
def silenced(): collector.disable()

@pytest.fixture
def above(quiet): return 1

def helped(): return above

@pytest.fixture(scope="function", autouse=True)
def clean():
    "No need to mock anything."
    # as threading would

def test_plain(): assert f() == 1
def test_patch(monkeypatch): monkeypatch.setattr("app.f", 1)
def test_seed(): random.seed(1)
def test_processor(): assert time.process_time() < 1
async def test_async(): ...
def test_whole_name(): unittest.mock.patch("app.f")
def test_alias(): collector.collect()
def test_fixture(quiet): ...
def test_fixture_of_a_fixture(above): ...
def test_helper(): helped()
def test_type(): assert type(f()) is not dict
def test_types(): assert type(f()) != dict
def test_subclass(): assert not issubclass(f(), Mapping)
@pytest.mark.parametrize("way", WAYS)
def test_way(way): ...
@pytest.mark.usefixtures("served")
def test_fixture_of_another_file(): ...

class TestSome:
    def _run(self): mock.patch("app.f")
    def test_plain(self): assert f() == 1
    def test_run(self): self._run()
class TestMore(TestSome):
    def test_plain(self): ...
class TestSetUp(TestCase):
    def setUp(self): logging.disable()
    def test_plain(self): assert f() == 1
class TestRun(TestCase):
    def run(self, result=None): logging.disable(); super().run(result)
    def test_plain(self): assert f() == 1
class TestPlain(TestCase):
    def test_plain(self): assert f() == 1
def test_behind_a_text():
    "No need to mock anything."; collector.collect()
"""


def test_which_tests_of_a_file_run_apart() -> None:
    """A test that reaches inside does not, nor does one that uses what does, by whatever name."""
    fixtures = {"tests/conftest.py": b"import threading\n@pytest.fixture\ndef served(): threading.Thread()\n"}
    found = apart_tests({"tests/test_a.py": MIXED}, fixtures)
    declared = declared_in_python({"tests/test_a.py": MIXED}).expected
    names = {test.partition("::")[2] for test in declared if found.has(test)}
    assert names == {"test_plain", "TestSome::test_plain", "TestPlain::test_plain"}
    assert not found.has("tests/test_a.py::TestMore::test_of_its_base")
    assert not found.has("tests/test_b.py::test_plain")


Sockets = tuple[socket.socket, socket.socket]


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def _refuse(value: Any) -> Any:
    raise wire.NotPlain(repr(value))


def test_shared_containers_stay_one(sockets: Sockets) -> None:
    """Whoever changes one, and however they hold each other: the other side sees it, in the same object."""
    tests = wire.Wire(sockets[0], 1, _refuse, _refuse, of_tests=True)
    code = wire.Wire(sockets[1], 2, _refuse, _refuse, of_tests=False)
    inner: list[Any] = [1]
    outer = {"in": inner, "me": inner}
    inner.append(outer)
    tests.send(outer)
    there = code.receive()
    assert there["in"] is there["me"]
    assert there["in"][1] is there
    there["in"].insert(0, 0)
    del there["me"]
    there["set"] = {1}
    code.send(there["in"])
    assert tests.receive() is inner
    assert inner[:2] == [0, 1]
    assert list(outer) == ["in", "set"]
    outer["set"].add(2)  # type: ignore[attr-defined]  # the other side put a set there
    tests.send(None)
    assert code.receive() is None
    assert there["set"] == {1, 2}


def test_what_the_tests_no_longer_hold_is_forgotten(sockets: Sockets) -> None:
    """Else each list that was ever returned would be looked at with every message."""
    tests = wire.Wire(sockets[0], 1, _refuse, _refuse, of_tests=True)
    code = wire.Wire(sockets[1], 2, _refuse, _refuse, of_tests=False)
    kept: list[Any] = [[0]]
    for number in range(50):
        tests.send(kept)
        held = code.receive()
        code.send([number, [number]])
        assert tests.receive() == [number, [number]]
    assert max(len(tests._shared._objects), len(code._shared._objects)) < 10
    kept[0].append(1)
    tests.send(None)
    assert code.receive() is None
    assert held == [[0, 1]]
    code.send(held)
    tests.receive()[0].append(2)  # by one who holds it no longer
    kept.clear()
    tests.send(None)
    code.receive()
    assert held == []


@pytest.mark.parametrize(
    "message",
    [
        b'[[], ["named", "builtins", "eval"], []]',
        b'[[], ["named", "os", "system"], []]',
        b'[[], ["made", "Popen", [1]], []]',
        b'[[[2, "Popen", []]], null, []]',
        b"[]",
        b'{"a": 1}',
        b"\xff",
    ],
)
def test_a_message_that_no_side_sends_is_refused(sockets: Sockets, message: bytes) -> None:
    ours = wire.Wire(sockets[0], 1, _refuse, _refuse, of_tests=True)
    sockets[1].sendall(len(message).to_bytes(4, "big") + message)
    with pytest.raises((ValueError, KeyError)):
        ours.receive()


def test_what_is_too_long_or_cut_off_ends(sockets: Sockets) -> None:
    ours = wire.Wire(sockets[0], 1, _refuse, _refuse, of_tests=True)
    sockets[1].sendall(b"\xff\xff\xff\xff")
    with pytest.raises(ValueError, match="too long"):
        ours.receive()
    sockets[1].sendall(b"\x00\x00\x00\x09[[")
    sockets[1].shutdown(socket.SHUT_WR)
    with pytest.raises(EOFError):
        ours.receive()
