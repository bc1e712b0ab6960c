"""Calls that a person must allow: the execution ends, and the next one makes exactly that call."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from agents import AgentResult
from agents.roles.coder import CoderAgent
from agents.roles.permissions import PERMISSIONS
from agents.sdk.base_tree import BaseTree
from contracts.documents.approval_policy import ApprovalPolicy, ApprovalRule
from contracts.messages.approvals import Permits, WantedAction
from contracts.messages.suspension import Suspended
from contracts.ports.text_form import in_text
from tests.agents.over_trees import OverTrees
from tests.agents.support import ExchangesInMemory, ScriptedModel, TaskMaker
from tests.agents.test_repository_work import DONE, FILES, MEND, run

SCRIPT = "src/deploy.sh"
DEPLOY = run(f"sh {SCRIPT}")
TREE = {**FILES, SCRIPT: b"echo once >> src/count.txt\n", "other.sh": b"echo other >> src/count.txt\n"}
RULES = ApprovalPolicy(version="1", rules=(ApprovalRule(name="scripts", tools=("run",), commands=("sh *",)),))
COUNT = "src/count.txt"


class Dispatches:
    """Executions of one coder's task, of a model that is never asked twice."""

    def __init__(self, over_trees: OverTrees, *answers: str, rules: ApprovalPolicy = RULES) -> None:
        self.model = ScriptedModel(*answers)
        self.exchanges = ExchangesInMemory()
        self._make = TaskMaker(self.model, over_trees, self.exchanges)
        self._rules, self._number = rules, 0

    async def __call__(
        self,
        allowed: WantedAction | None = None,
        *,
        again: bool = False,
        refused: Mapping[str, str] = MappingProxyType({}),
    ) -> AgentResult:
        """Execute the next dispatch, or the last one again."""
        self._number += not again
        task = self._make(base=BaseTree(TREE), writable=["src/"], attempt=self._number)
        permits = Permits(policy=self._rules, allowed=allowed.digest if allowed else None, refused=refused)
        update = {"permits": permits, "dispatch_id": f"d{self._number}"}
        object.__setattr__(task, "request", task.request.model_copy(update=update))
        assert task.workplace is not None
        async with task.workplace:
            return await CoderAgent().run(task)

    async def wanted(self, allowed: WantedAction | None = None, *, again: bool = False) -> WantedAction:
        """The call for which an execution ends."""
        with pytest.raises(Suspended) as caught:
            await self(allowed, again=again)
        action = caught.value.suspension.action
        assert action is not None
        return action

    def shown(self) -> str:
        return in_text(self.model.requests[-1]).messages[-1].text


async def test_a_call_is_made_once_it_is_allowed_and_never_before(over_trees: OverTrees) -> None:
    dispatches = Dispatches(over_trees, MEND, DEPLOY, run("cat src/count.txt"), DONE)
    wanted = await dispatches.wanted()
    assert (wanted.tool, wanted.rule, sorted(wanted.files)) == ("run", "scripts", [SCRIPT])
    assert await dispatches.wanted() == wanted
    result = await dispatches(wanted)
    assert result.files[COUNT] == b"once\n"


async def test_an_approval_of_another_call_allows_nothing(over_trees: OverTrees) -> None:
    dispatches = Dispatches(over_trees, DEPLOY, DONE)
    wanted = await dispatches.wanted()
    others = [
        wanted.model_copy(update=change)
        for change in (
            {"arguments": wanted.arguments.replace("deploy", "deplo")},
            {"files": {SCRIPT: "0" * 64}},
            {"tree": "0" * 40},
            {"environment": "0" * 64},
        )
    ]
    for other in others:
        assert await dispatches.wanted(other) == wanted


@pytest.mark.parametrize("idempotent", [False, True])
async def test_a_call_of_which_nobody_knows_what_it_did_is_asked_again(
    over_trees: OverTrees, idempotent: bool
) -> None:
    """An execution dies behind the call, before its step is kept; another takes the same dispatch over."""
    rule = RULES.rules[0].model_copy(update={"idempotent": idempotent})
    rules = RULES.model_copy(update={"rules": (rule,)})
    dispatches = Dispatches(over_trees, MEND, DEPLOY, DONE, rules=rules)
    wanted = await dispatches.wanted()
    await dispatches(wanted)
    steps = [key for key in dispatches.exchanges.kept if key[2].startswith("step:1:")]
    for key in steps:
        del dispatches.exchanges.kept[key]
    assert steps
    if idempotent:
        assert (await dispatches(wanted, again=True)).files[COUNT] == b"once\n"
    else:
        assert await dispatches.wanted(wanted, again=True) == wanted


async def test_a_refusal_is_told_and_the_work_goes_on(over_trees: OverTrees) -> None:
    dispatches = Dispatches(over_trees, MEND, DEPLOY, DONE)
    wanted = await dispatches.wanted()
    result = await dispatches(refused={wanted.digest: "rejected by me: not today"})
    assert COUNT not in result.files
    assert "refused: rejected by me: not today; do without" in dispatches.shown()


async def test_a_rule_denies_and_another_allows(over_trees: OverTrees) -> None:
    rules = ApprovalPolicy(
        version="1",
        rules=(
            ApprovalRule(name="never", then="deny", tools=("run",), commands=("rm *",)),
            ApprovalRule(name="harmless", then="allow", tools=("run",), commands=("cat *", "sh *")),
            ApprovalRule(name="files", tools=("edit",), paths=("src/app.py",)),
            ApprovalRule(name="others", tools=("run",)),
        ),
    )
    dispatches = Dispatches(over_trees, run("rm -r src"), DEPLOY, run("sh x; rm -r src"), MEND, rules=rules)
    wanted = await dispatches.wanted()
    assert "sh x; rm" in wanted.arguments
    assert "refused: the rule 'never' of the policy denies it; do without" in str(dispatches.model.requests)
    assert sorted(wanted.files) == []


async def test_a_moved_link_and_a_changed_script_are_other_calls(over_trees: OverTrees) -> None:
    first = Dispatches(over_trees, DEPLOY)
    seen = {(await first.wanted()).digest}
    for before in (f"echo >> {SCRIPT}", f"rm {SCRIPT} && ln -s ../other.sh {SCRIPT}", f"chmod +x {SCRIPT}"):
        wanted = await Dispatches(over_trees, run(before), DEPLOY).wanted()
        assert wanted.digest not in seen, before
        seen.add(wanted.digest)


def test_no_tool_of_any_role_decides_about_approvals() -> None:
    tools = {tool.name for role in PERMISSIONS.values() for tool in role.allowed}
    known = {"read", "search", "find", "list", "diff", "edit", "patch", "write", "run", "test", "todo", "ask"}
    assert tools == known, "a new tool: it must not decide about approvals; name it here"
