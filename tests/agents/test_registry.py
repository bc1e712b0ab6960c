from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.sdk.registry import SHIPPED, AgentInfo, AgentTable, agent, agent_info, discover
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from contracts.base.errors import NotConfigured


class _Base:
    async def run(self, task: Task) -> AgentResult:
        return AgentResult()


@agent(role="coder")
class PlainCoder(_Base):
    pass


@agent(role="coder", tags=("rust", "c"), version="2.1")
class TaggedCoder(_Base):
    pass


@agent(role="painter", tags=("oil",))
class Painter(_Base):
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("strangers_")]:
        del sys.modules[name]


def test_the_mark_holds_role_tags_and_version() -> None:
    assert agent_info(TaggedCoder) == AgentInfo("coder", ("rust", "c"), "2.1")


def test_a_subclass_is_not_marked_by_its_parent() -> None:
    class Child(TaggedCoder):
        pass

    with pytest.raises(NotConfigured, match="is no agent"):
        agent_info(Child)


def test_five_roles_ship() -> None:
    found = discover([], entry_points=False)
    roles = sorted(agent_info(cls).role for cls in found)
    assert roles == ["architect", "coder", "debugger", "reviewer", "tester"]
    assert len(found) == len(SHIPPED)


def test_a_module_replaces_a_shipped_agent(folder: Path) -> None:
    (folder / "strangers_coder.py").write_text(
        "from agents import AgentResult, Task, agent\n"
        "@agent(role='coder')\n"
        "class Mine:\n"
        "    async def run(self, task: Task) -> AgentResult:\n"
        "        return AgentResult()\n"
    )
    table = AgentTable.of(discover(["strangers_coder"]))
    mine = table.find("coder", None)
    assert mine is not None
    assert mine.__name__ == "Mine"


def test_an_entry_point_is_found_and_an_explicit_module_wins_over_it(folder: Path) -> None:
    for name in ("strangers_point", "strangers_module"):
        (folder / f"{name}.py").write_text(
            "from agents import AgentResult, agent\n"
            "@agent(role='translator', tags=['fr'])\n"
            f"class From_{name}:\n"
            "    async def run(self, task):\n"
            "        return AgentResult()\n"
        )
    info = folder / "strangers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[multi_agent.agents]\nfr = strangers_point\n")
    by_entry = AgentTable.of(discover()).find("translator", "fr")
    by_module = AgentTable.of(discover(["strangers_module"])).find("translator", "fr")
    assert by_entry is not None
    assert by_module is not None
    assert by_entry.__name__ == "From_strangers_point"
    assert by_module.__name__ == "From_strangers_module"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no agent"),
        ("from agents.roles.reviewer import ReviewerAgent\n", "holds no agent"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("from agents import agent\n@agent(role='x')\nclass A:\n    pass\n", "needs a method 'async def run"),
        (
            "from agents import agent\n@agent(role='x')\nclass A:\n    def run(self, task): ...\n",
            "needs a method 'async def run",
        ),
        (
            "from agents import agent\n"
            "@agent(role='Bad Role')\nclass A:\n    async def run(self, task): ...\n",
            "role 'Bad Role'",
        ),
        (
            "from agents import agent\n"
            "@agent(role='x', tags=['a b'])\n"
            "class A:\n"
            "    async def run(self, task): ...\n",
            "tag 'a b'",
        ),
        (
            "from agents import agent\n"
            "@agent(role='sandbox')\nclass A:\n    async def run(self, task): ...\n",
            "is that of sandbox hosts",
        ),
    ],
)
def test_a_bad_module_is_refused_with_its_reason(folder: Path, text: str, message: str) -> None:
    name = f"strangers_bad_{abs(hash(text))}"
    (folder / f"{name}.py").write_text(text)
    with pytest.raises(NotConfigured, match=message):
        discover([name], entry_points=False)


def test_a_missing_module_is_refused_with_what_to_do() -> None:
    with pytest.raises(NotConfigured, match=r"'strangers_none' cannot be imported.*PYTHONPATH"):
        discover(["strangers_none"], entry_points=False)


def test_tags_have_streams_of_their_own_and_leave_the_rest_to_the_untagged() -> None:
    table = AgentTable.of([PlainCoder, TaggedCoder])
    assert table.streams == ("agent.requests.coder", "agent.requests.coder.c", "agent.requests.coder.rust")
    assert table.find("coder", None) is PlainCoder
    assert table.find("coder", "rust") is TaggedCoder
    assert table.find("coder", "go") is None


def test_a_tagged_agent_serves_the_role_when_nobody_else_does() -> None:
    table = AgentTable.of([Painter])
    assert table.find("painter", None) is Painter
    assert table.streams == ("agent.requests.painter", "agent.requests.painter.oil")


def test_roles_select() -> None:
    table = AgentTable.of([PlainCoder, Painter], roles=["painter"])
    assert table.roles == ("painter",)
    with pytest.raises(NotConfigured, match="no agent serves the role 'poet'; roles with an agent: coder"):
        AgentTable.of([PlainCoder], roles=["poet"])


@agent(role="painter", short=True)
class Sketcher(_Base):
    pass


def test_short_agents_are_told_apart_and_none_that_ships_is_one() -> None:
    table = AgentTable.of([PlainCoder, Painter, Sketcher])
    assert table.lasting(short=True).by_slot == {("painter", None): Sketcher}
    assert set(table.lasting(short=False).by_slot) == {("coder", None), ("painter", "oil")}
    assert AgentTable.of(discover(entry_points=False)).lasting(short=True).by_slot == {}
