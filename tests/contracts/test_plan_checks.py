"""What a plan must satisfy beyond its schema."""

from __future__ import annotations

import json
import re

import pytest

from contracts.base.errors import InvalidDocument
from contracts.documents.plan_checks import PlanLimits, check_plan, parse_plan, topological_order
from contracts.documents.todo_list import TodoList
from tests.contracts.plans import item, plan, plan_of

LIMITS = PlanLimits()


def told(todo: TodoList, limits: PlanLimits = LIMITS, roles: set[str] | None = None) -> list[str]:
    return [str(problem) for problem in check_plan(todo, limits, roles)]


def test_a_cycle_is_printed_with_its_tasks() -> None:
    todo = plan_of({"x": ["b"], "a": ["b"], "b": ["c"], "c": ["a"], "free": []})
    assert told(todo) == ["$.items[1].dependencies: tasks wait for each other: a -> b -> c -> a"]


def test_every_separate_cycle_is_printed() -> None:
    todo = plan_of({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]})
    assert [line.rsplit(": ", 1)[1] for line in told(todo)] == ["a -> b -> a", "c -> d -> c"]


def test_a_long_cycle_is_shortened() -> None:
    todo = plan_of({f"t{n}": [f"t{(n + 1) % 1_000}"] for n in range(1_000)})
    (line,) = told(todo, PlanLimits(max_tasks=1_000))
    assert "-> t24 -> (951 more) -> t976 ->" in line
    assert line.endswith("-> t0")


@pytest.mark.parametrize(
    ("dependencies", "problem"),
    [
        ({"a": ["a"]}, "$.items[0].dependencies[0]: 'a' depends on itself"),
        (
            {"design": [], "b": ["desing"]},
            "$.items[1].dependencies[0]: no task has the id 'desing'; did you mean 'design'?",
        ),
        ({"a": [], "b": ["zzz"]}, "$.items[1].dependencies[0]: no task has the id 'zzz'"),
        ({"a": [], "b": ["a", "a"]}, "$.items[1].dependencies[1]: 'a' is listed twice"),
    ],
)
def test_a_wrong_dependency(dependencies: dict[str, list[str]], problem: str) -> None:
    assert told(plan_of(dependencies)) == [problem]


def test_ids_are_unique_whatever_their_case() -> None:
    assert told(plan(item("a"), item("b"), item("a"), item("B"))) == [
        "$.items[2].task_id: 'a' is already the id of another task",
        "$.items[3].task_id: 'B' differs from the id 'b' only by case",
    ]


@pytest.mark.parametrize(
    "task_id",
    ["result", "Result", "a.lock", "a.LOCK", "tests.fix1", "tests.retest2", "a.Fix1.b"],
)
def test_reserved_ids(task_id: str) -> None:
    (line,) = told(plan(item(task_id)))
    assert line.startswith(f"$.items[0].task_id: '{task_id}' ")
    assert line.endswith("; choose another id")


@pytest.mark.parametrize("task_id", ["results", "a.locks", "fix1", "tests.fix", "a.fixed", "lock"])
def test_ids_that_only_look_reserved(task_id: str) -> None:
    assert told(plan(item(task_id))) == []


def test_an_unvalidated_id_with_two_dots_is_refused_too() -> None:
    crooked = item("a").model_copy(update={"task_id": "a..b"})
    assert (
        "cannot be part of a Git branch name"
        in told(plan(item("b")).model_copy(update={"items": (crooked,)}))[0]
    )


def test_roles() -> None:
    todo = plan(item("a", agent_role="codr"), item("b", agent_role="plumber"), item("c"))
    assert told(todo, LIMITS, {"coder", "tester"}) == [
        "$.items[0].agent_role: no agent serves 'codr'; did you mean 'coder'?",
        "$.items[1].agent_role: no agent serves 'plumber'; known are coder, tester",
    ]
    assert told(todo, LIMITS, None) == []


def test_limits() -> None:
    todo = plan_of({"a": [], "b": [], "c": ["a", "b"]})
    assert told(todo, PlanLimits(max_tasks=2)) == ["$.items: has 3 tasks, the limit is 2; plan fewer"]
    assert told(todo, PlanLimits(max_dependencies=1)) == [
        "$.items[2].dependencies: has 2 dependencies, the limit is 1"
    ]
    assert told(todo, PlanLimits(max_tasks=3, max_dependencies=2)) == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../x.py", "'..' parts"),
        ("/etc/passwd", "must be relative"),
        ("src//", "empty, '.' and '..' parts"),
        (".git/config", "read by Git itself"),
        ("a\\b", "backslashes"),
        (".multi-agent/x.json", "reserved for the system"),
        (".Multi-Agent/", "reserved for the system"),
        (".multi-agent", "reserved for the system"),
        (".multi_agent/approvals.toml", ".multi_agent/ is reserved for the system"),
        ("app/.Multi_Agent/", ".multi_agent/ is reserved for the system"),
    ],
)
def test_output_paths(path: str, reason: str) -> None:
    (line,) = told(plan(item("a", output_artifacts=["ok.py", path])))
    assert line.startswith("$.items[0].output_artifacts[1]: path ")
    assert reason in line


def test_inputs_may_exist_in_the_repository_but_must_be_paths() -> None:
    assert told(plan(item("a", input_artifacts=["README.md", "src/", ".multi-agent/contract.json"]))) == []
    (line,) = told(plan(item("a", input_artifacts=["../secret"])))
    assert line.startswith("$.items[0].input_artifacts[0]: path '../secret'")


@pytest.mark.parametrize("command", ["pytest 'tests", "  ", "pytest a\0b"])
def test_a_command_line_that_is_none(command: str) -> None:
    (line,) = told(plan(item("a", acceptance_criteria={"tests": [{"cmd": command}]})))
    assert line.startswith("$.items[0].acceptance_criteria.tests[0].cmd: ")
    assert "\0" not in line


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("src/a.py", "src/a.py", "src/a.py"),
        ("src/", "src/a.py", "src/a.py"),
        ("src/a.py", "src/", "src/a.py"),
        ("src/", "src/deep/er/", "src/deep/er/"),
        ("src/A.py", "src/a.py", "src/a.py"),
    ],
)
def test_two_unordered_writers_are_both_named(one: str, other: str, shared: str) -> None:
    writers = [item("a", output_artifacts=[one]), item("b", output_artifacts=[other])]
    (line,) = told(plan(*writers))
    names = set(re.findall(r"'([ab])'", line))
    assert names == {"a", "b"}
    assert f"both write '{shared}'" in line


def test_ordered_writers_may_share_a_path() -> None:
    todo = plan(
        item("a", output_artifacts=["src/"]),
        item("between", "a"),
        item("b", "between", output_artifacts=["src/x.py"]),
        item("c", "b", output_artifacts=["src/x.py", "src/"]),
        item("d", "c", output_artifacts=["src/"]),
    )
    assert told(todo) == []


def test_a_folder_writer_between_two_branches_conflicts_with_one() -> None:
    todo = plan(
        item("root"),
        item("left", "root", output_artifacts=["src/left.py"]),
        item("right", "root", output_artifacts=["src/right.py"]),
        item("tidy", "left", output_artifacts=["src/"]),
    )
    (line,) = told(todo)
    assert line.startswith("$.items[3].output_artifacts: 'right' and 'tidy' may run at the same time")


def test_prefixes_that_are_no_folders_do_not_conflict() -> None:
    assert (
        told(plan(item("a", output_artifacts=["src/a"]), item("b", output_artifacts=["src/ab", "src2/"])))
        == []
    )


def test_a_path_is_not_both_file_and_folder_even_when_ordered() -> None:
    todo = plan(item("a", output_artifacts=["src"]), item("b", "a", output_artifacts=["src/x.py"]))
    assert told(todo) == [
        "$.items[0].output_artifacts: 'a' writes 'src' as a file and 'b' writes below it; "
        "a folder's path ends with '/'"
    ]


def test_order_is_the_plans_where_dependencies_leave_it_open() -> None:
    todo = plan_of({"d": ["b", "c"], "c": ["a"], "b": ["a"], "a": [], "z": []})
    assert [entry.task_id for entry in topological_order(todo)] == ["a", "z", "c", "b", "d"]
    for broken in ({"a": ["b"], "b": ["a"]}, {"a": ["b"]}, {"a": ["a"]}):
        with pytest.raises(InvalidDocument, match=r"wait for each other|no task has|itself"):
            topological_order(plan_of(broken))


def test_parse_plan_takes_bytes_text_and_dicts() -> None:
    document = {
        "todo_list_id": "p",
        "request": "r",
        "items": [{"task_id": "a", "title": "t", "agent_role": "coder"}],
    }
    text = json.dumps(document)
    assert parse_plan(document) == parse_plan(text) == parse_plan(text.encode())


def test_parse_plan_reports_all_problems_of_a_stage() -> None:
    document = {"todo_list_id": "p", "request": "r", "items": [{"task_id": "a b", "title": ""}]}
    with pytest.raises(InvalidDocument) as refused:
        parse_plan(document)
    assert [problem.path for problem in refused.value.problems] == [
        "$.items[0].task_id",
        "$.items[0].title",
        "$.items[0].agent_role",
    ]
    with pytest.raises(InvalidDocument, match="no agent serves") as refused:
        parse_plan(plan(item("result"), item("b", "c")).model_dump(mode="json"), LIMITS, {"tester"})
    assert len(refused.value.problems) == 4


@pytest.mark.parametrize("char", ["\u3164", "\ufe0f", "\u200b", "\u2028", "\U000e0041", "\x1b"])
def test_what_cannot_be_seen_is_refused_in_titles_and_new_names(char: str) -> None:
    todo = plan(item("a", title=f"Build{char} it", output_artifacts=[f"a{char}.py"]))
    title, path = told(todo)
    assert title == f"$.items[0].title: U+{ord(char):04X} cannot be seen; leave it out of a title"
    assert path.startswith("$.items[0].output_artifacts[0]: path 'a")


def test_an_existing_file_may_have_an_emoji_in_its_name_and_a_title_two_lines() -> None:
    assert told(plan(item("a", title="Build\n\tit", input_artifacts=["docs/\u2764\ufe0f.md"]))) == []
