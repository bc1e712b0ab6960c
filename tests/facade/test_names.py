"""The names that packages offer and do not hold."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from contracts.base.errors import NotConfigured
from contracts.base.provided import SERVICES, load_service, provided

OFFERED = sorted(entry.name for entry in entry_points(group=SERVICES) if "." in entry.name)


def test_all_are_offered() -> None:
    assert OFFERED == [
        "agents.ArchitectAgent",
        "agents.CoderAgent",
        "agents.TesterAgent",
        "artifacts.ArtifactStore",
        "contracts.get_message_bus",
        "orchestrator.Orchestrator",
        "planner_service.PlannerService",
        "sandbox_runner.SandboxRunner",
    ]


@pytest.mark.parametrize("name", OFFERED)
def test_each_is_an_attribute_of_its_package(name: str) -> None:
    package, _, attribute = name.rpartition(".")
    module = importlib.import_module(package)
    assert attribute in module.__all__
    assert getattr(module, attribute) is load_service(name)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_a_name_that_nothing_provides_says_so() -> None:
    with pytest.raises(NotConfigured, match=r"nothing provides 'nowhere\.Name'.*install multi-agent"):
        provided("nowhere", "Name")("Name")


def test_packages_load_no_facade_unless_asked() -> None:
    packages = sorted({name.partition(".")[0] for name in OFFERED})
    code = f"import sys, {', '.join(packages)}; print('multi_agent' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
