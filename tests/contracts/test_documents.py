"""Samples, and the agreement of models and schemas about what is valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import contracts
from contracts.base.errors import InvalidDocument
from contracts.documents.plan_checks import PlanLimits, check_plan, parse_plan
from contracts.documents.todo_list import Role, TodoList
from contracts.schema.registry import DOCUMENT_TYPES, load_schema, parse_document
from contracts.validate_contract import schema_problems

PLAN = Path(contracts.__file__).parent / "sample_todo_list.json"


@pytest.mark.parametrize("name", DOCUMENT_TYPES)
def test_samples_fit_model_and_schema(name: str) -> None:
    raw = DOCUMENT_TYPES[name].sample.read_bytes()
    document = parse_document(name, raw)
    assert isinstance(document, DOCUMENT_TYPES[name].model)
    Draft202012Validator(load_schema(name)).validate(json.loads(raw))
    written = document.model_dump_json(exclude_none=name == "event")
    assert parse_document(name, written) == document
    assert schema_problems(name, json.loads(written)) == []


def test_the_sample_plan_has_every_planned_role_and_no_problem() -> None:
    plan = parse_plan(PLAN.read_bytes(), PlanLimits(), set(Role))
    assert {item.agent_role for item in plan.items} == set(Role) - {Role.DEBUGGER, Role.PLANNER}


def test_a_sample_plan_passes_the_checks_beyond_its_schema() -> None:
    plan = TodoList.model_validate_json(DOCUMENT_TYPES["todo"].sample.read_bytes())
    assert check_plan(plan, PlanLimits(), set(Role)) == []


def _set(document: dict[str, Any], place: tuple[str | int, ...], value: Any) -> Any:
    target: Any = document
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    return document


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("items", 0, "max_retries"), "2"),
        (("items", 0, "max_retries"), True),
        (("items", 0, "max_retries"), 21),
        (("items", 0, "max_retries"), 1.5),
        (("items", 0, "requires_approval"), 1),
        (("items", 0, "requires_approval"), "true"),
        (("items", 0, "title"), ""),
        (("items", 0, "title"), 7),
        (("items", 0, "task_id"), "a b"),
        (("items", 0, "task_id"), "a/b"),
        (("items", 0, "task_id"), ".."),
        (("items", 0, "dependencies"), {"a": 1}),
        (("items", 0, "dependencies"), "design"),
        (("items", 0, "surprise"), 1),
        (("items", 0, "required_tag"), 3),
        (("items", 0), None),
        (("items",), []),
        (("schema_version",), "2.0"),
        (("request",), "x" * 100_001),
    ],
)
def test_model_and_schema_refuse_alike(place: tuple[str | int, ...], value: Any) -> None:
    document = _set(json.loads(PLAN.read_bytes()), place, value)
    by_schema = {problem.path for problem in schema_problems("todo", document)}
    with pytest.raises(InvalidDocument) as refused:
        parse_document("todo", json.dumps(document))
    assert {problem.path for problem in refused.value.problems} == by_schema
    assert len(by_schema) == 1


def test_messages_name_value_and_limit() -> None:
    document = json.loads(PLAN.read_bytes())
    _set(document, ("items", 2, "max_retries"), 21)
    _set(document, ("items", 1, "task_id"), "a b")
    del document["items"][0]["title"]
    with pytest.raises(InvalidDocument) as refused:
        parse_document("todo", json.dumps(document))
    assert [str(problem) for problem in refused.value.problems] == [
        "$.items[0].title: required field is missing",
        r"$.items[1].task_id: must match ^[A-Za-z0-9][A-Za-z0-9_-]*([.][A-Za-z0-9_-]+)*$, got 'a b'",
        "$.items[2].max_retries: must be at most 20, got 21",
    ]


def test_an_event_is_checked_against_the_data_of_its_type() -> None:
    event = json.loads(DOCUMENT_TYPES["event"].sample.read_bytes())
    event["type"] = "multiagent.task.finished"
    with pytest.raises(InvalidDocument) as refused:
        parse_document("event", json.dumps(event))
    assert "$.data.worker_id: required field is missing" in str(refused.value)
    event["type"] = "multiagent.task.finnished"
    with pytest.raises(InvalidDocument, match=r"\$\.type: .*did you mean 'multiagent\.task\.finished'"):
        parse_document("event", json.dumps(event))
    with pytest.raises(InvalidDocument, match="unknown event type None; known are multiagent"):
        parse_document("event", "[]")
