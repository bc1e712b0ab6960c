"""Tests of a repository that has an environment: its interpreter and packages run them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from types import MappingProxyType

import pytest

from agents import AgentResult, Task, agent
from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.workplace import Workplace
from artifacts.store.git_store import GitArtifactStore
from contracts.base.errors import EnvironmentFailed, InvalidInput
from contracts.bus.memory_bus import MemoryBus
from contracts.ports.environments import PreparedEnvironment
from contracts.ports.workspace import NO_ENVIRONMENT, Environment, Service
from tests.agents.over_trees import LIMITS, OverTrees
from tests.agents.owner import Owner, running, worker
from tests.agents.support import TaskMaker, task_request
from tests.agents.test_fresh_sandboxes import Refusing
from tests.artifacts.builders import outcome as outcome_of

TEST = """
import sys
import dependency

def test_two(plugged):
    assert dependency.double(2) == plugged and sys.prefix == {prefix!r}
"""
# Whoever loads it notices.
EVIL = {
    "evil.egg-info/PKG-INFO": b"Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
    "evil.egg-info/entry_points.txt": b"[pytest11]\nevil = evil\nplug = evil\n",
    "evil.py": b"def pytest_runtest_setup(item):\n    raise RuntimeError('loaded')\n",
}
PLACE = "/environment"
PLUGINS = "[pytest11]\nplug = plug\nbroken = none_such\n"


PLUGIN = """
import asyncio, inspect, unittest.mock
import pytest

RAN = []

@pytest.fixture
def plugged():
    return 4

@pytest.fixture
def ran():
    return RAN

def replaced():
    return lambda mock: None

def pytest_configure(config):
    # As plugins do that make messages better.
    config.getini("asyncio_mode")
    unittest.mock.NonCallableMock.assert_called = replaced()
    unittest.mock.AsyncMock.assert_awaited = replaced()  # which it inherits

def pytest_addoption(parser):
    parser.addini("asyncio_mode", "how coroutines are run", default="strict")

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if inspect.iscoroutinefunction(pyfuncitem.obj) and pyfuncitem.config.getini("asyncio_mode") == "auto":
        names = pyfuncitem._fixtureinfo.argnames
        asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
        return True
"""
CALLED = {"app.py": b"def called(function): return function(1)\n", "tests/conftest.py": b"import app\n"}
TOGETHER = b"import app\ndef test_one():\n    assert app.called(lambda x: x + 1) == 2\n"


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A virtual environment with one package, where sandboxes find it under another name."""
    folder = tmp_path_factory.mktemp("environment")
    folder.chmod(0o755)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "dependency.py").write_text("def double(x):\n    return 2 * x\n")
    (packages / "plug.py").write_text(PLUGIN)
    (packages / "plug-1.dist-info").mkdir()
    (packages / "plug-1.dist-info/entry_points.txt").write_text(PLUGINS)
    return Environment(
        MappingProxyType({PLACE: str(folder), sys.base_prefix: sys.base_prefix}),
        MappingProxyType({"PATH": f"{PLACE}/bin:/usr/bin:/bin", "VIRTUAL_ENV": PLACE}),
    )


async def _run(
    over_trees: OverTrees,
    environment: Environment,
    files: Mapping[str, bytes] = MappingProxyType({}),
    first: Mapping[str, bytes] | None = None,
) -> AgentResult:
    base = BaseTree({"tests/test_calc.py": TEST.format(prefix=PLACE).encode(), **files})
    criteria = {"tests": [{"cmd": "pytest tests"}]}
    task = TaskMaker(sandbox=over_trees)(base=base, role="tester", cycle=1, acceptance_criteria=criteria)
    task = over_trees.give(task, first) if first else task
    workplace = Workplace(over_trees.workspaces, over_trees.commits, LIMITS, lambda: nullcontext(environment))
    return await TesterAgent().run(replace(task, workplace=workplace))


async def test_its_interpreter_and_packages_run_the_tests(
    over_trees: OverTrees, environment: Environment
) -> None:
    result = await _run(over_trees, environment)
    assert (result.verdict, result.summary) == ("passed", "1 passed, 0 failed")


async def test_its_plugins_have_the_project_s_settings(
    over_trees: OverTrees, environment: Environment
) -> None:
    test = b"async def test_one(ran):\n    ran.append(1)\n\ndef test_two(ran):\n    assert ran == [1]\n"
    settings = b"[pytest]\nasyncio_mode = auto\naddopts = --ignore tests/test_async.py\n"
    files = {"tests/test_async.py": test, "pytest.ini": settings, "tests/test_calc.py": b""}
    result = await _run(over_trees, environment, files)
    assert (result.verdict, result.summary) == ("passed", "2 passed, 0 failed")


async def test_tests_see_pytest_as_it_usually_is(over_trees: OverTrees, environment: Environment) -> None:
    """A pytest that they start loads its plugins, and what asks for the terminal gets one."""
    test = b"""
import os

def test_one(pytestconfig):
    assert "PYTEST_DISABLE_PLUGIN_AUTOLOAD" not in os.environ
    assert not pytestconfig.get_terminal_writer().hasmarkup
"""
    result = await _run(over_trees, environment, {"tests/test_calc.py": test})
    assert (result.verdict, result.summary) == ("passed", "1 passed, 0 failed")


async def test_what_a_plugin_replaces_while_it_is_configured_is_its_own(
    over_trees: OverTrees, environment: Environment
) -> None:
    """Also where no test was there before, whose own oddities would excuse it."""
    result = await _run(over_trees, environment, {"tests/test_calc.py": TOGETHER, **CALLED}, CALLED)
    assert (result.verdict, result.summary) == ("passed", "1 passed, 0 failed")


async def test_what_the_code_does_to_a_plugin_before_that_is_noticed(
    over_trees: OverTrees, environment: Environment
) -> None:
    code = CALLED["app.py"] + b"import plug\nplug.replaced = lambda: None\n"
    result = await _run(over_trees, environment, {"tests/test_calc.py": TOGETHER, **CALLED, "app.py": code})
    assert result.verdict == "failed"
    assert "changed the test program: plug.replaced" in result.summary


async def test_what_the_tree_does_while_a_plugin_is_configured_is_noticed(
    over_trees: OverTrees, environment: Environment
) -> None:
    conftest = b"""
import app
import _pytest.python

def pytest_configure(config):
    usual, kind = config.getini, _pytest.python.Function
    runs = kind.runtest
    def passes(name):
        kind.runtest = lambda self: None if self.name == "test_one" else runs(self)
        return usual(name)
    config.getini = passes
"""
    files = {
        **CALLED,
        "tests/test_calc.py": TOGETHER.replace(b"== 2", b"== 3"),
        "tests/conftest.py": conftest,
    }
    result = await _run(over_trees, environment, files, {"tests/test_calc.py": TOGETHER, **CALLED})
    assert result.verdict == "failed"
    assert "changed the test program: _pytest.python.Function.runtest" in result.summary


async def test_the_tree_names_no_plugins(over_trees: OverTrees, environment: Environment) -> None:
    result = await _run(over_trees, environment, EVIL)
    assert (result.verdict, result.summary) == ("passed", "1 passed, 0 failed")


async def test_its_services_run_beside_the_tests(over_trees: OverTrees, environment: Environment) -> None:
    code = "import time; print('ready', flush=True); time.sleep(100)"
    served = replace(environment, services=(Service("one", ("python3", "-c", code), "ready"),))
    test = b"def test_it():\n    assert open('/tmp/services/one/log').read() == 'ready\\n'\n"
    result = await _run(over_trees, served, {"tests/test_calc.py": test})
    assert (result.verdict, result.summary) == ("passed", "1 passed, 0 failed")


async def test_without_it_they_cannot_be_loaded(over_trees: OverTrees) -> None:
    result = await _run(over_trees, NO_ENVIRONMENT)
    assert result.tests is not None
    assert result.tests.failure is not None
    assert "No module named 'dependency'" in result.tests.failure.error


class Prepared:
    """Counts how often an environment is prepared, and left; or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.count = self.left = 0

    @asynccontextmanager
    async def prepare(self, _commit: str, _say: Callable[[str], None]) -> AsyncIterator[PreparedEnvironment]:
        self.count += 1
        if self.error:
            raise self.error
        yield PreparedEnvironment(Environment({"/opt/x": "/x"}), "x", "0" * 64)
        self.left += 1


@agent(role="coder")
class AsksTwice:
    async def run(self, task: Task) -> AgentResult:
        found = [await task.environment() for _ in range(2)]
        return AgentResult(summary=str(sorted(found[0].mounts) if found[0] is found[1] else found))


@agent(role="coder")
class RunsNothing:
    async def run(self, task: Task) -> AgentResult:
        return AgentResult(summary=f"{len(task.files)} files")


@pytest.mark.parametrize(
    ("role", "prepared", "expected"),
    [
        (RunsNothing, Prepared(), ("succeeded", "1 files", 0, 0)),
        (AsksTwice, Prepared(), ("succeeded", "['/opt/x']", 1, 1)),
        (AsksTwice, Prepared(EnvironmentFailed("step setup")), ("environment_failed", "step setup", 1, 0)),
        (AsksTwice, Prepared(InvalidInput("setting")), ("environment_failed", "setting", 1, 0)),
    ],
)
async def test_it_is_prepared_when_it_is_first_needed(
    bus: MemoryBus,
    owner: Owner,
    store: GitArtifactStore,
    role: type,
    prepared: Prepared,
    expected: tuple[str, str, int, int],
) -> None:
    [commit] = await store.write([outcome_of("t0", {"a.py": b"1"})])
    request = task_request(parents=(commit,)).model_copy(update={"base_commit": commit})
    made = worker(bus, store, role, workspaces=Refusing(), environments=prepared)
    async with running(made):
        await owner.dispatch(request)
        outcome = await owner.outcome()
    told = (outcome.error.code, outcome.error.message) if outcome.error else (outcome.status, outcome.summary)
    assert (*told, prepared.count, prepared.left) == expected
    assert outcome.error is None or not outcome.error.retryable
