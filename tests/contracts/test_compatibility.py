"""Each rule of the compatibility check, on the smallest pair of schemas that breaks it, and its opposite."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.schema.compatibility import compare
from contracts.schema.registry import DOCUMENT_TYPES, load_schema

Schema = dict[str, Any]

CLOSED: Schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
NULLABLE: Schema = {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]}
EITHER: Schema = {"if": {"properties": {"t": {"const": 1}}}, "then": {"required": ["a"]}}

TYPED: Schema = {"required": ["t"], "properties": {"t": {"enum": [1]}}}
ONE_MORE: Schema = {"required": ["t"], "properties": {"t": {"enum": [1, 2]}}}


def asked(value: int) -> Schema:
    """A condition on documents whose `t` is the value."""
    return {"if": {"required": ["t"], "properties": {"t": {"const": value}}}, "then": {"required": ["a"]}}


BREAKING: list[tuple[str, Schema, Schema, str]] = [
    ("type-narrowed", {"type": ["string", "null"]}, {"type": "string"}, "$"),
    ("type-narrowed", {"type": "number"}, {"type": "integer"}, "$"),
    ("type-narrowed", {}, {"type": "string"}, "$"),
    ("values-narrowed", {"enum": ["a", "b"]}, {"enum": ["a"]}, "$"),
    ("values-narrowed", {"enum": ["a", "b"]}, {"const": "a"}, "$"),
    ("values-narrowed", {"type": "string"}, {"type": "string", "enum": ["a"]}, "$"),
    ("limit-narrowed", {"minimum": 0}, {"minimum": 1}, "$"),
    ("limit-narrowed", {}, {"exclusiveMinimum": 1}, "$"),
    ("limit-narrowed", {"maxLength": 9}, {"maxLength": 8}, "$"),
    ("limit-narrowed", {}, {"maxItems": 8}, "$"),
    ("limit-narrowed", {}, {"minProperties": 1}, "$"),
    ("form-changed", {"pattern": "a+"}, {"pattern": "a"}, "$"),
    ("form-changed", {}, {"format": "date"}, "$"),
    ("form-changed", {}, {"uniqueItems": True}, "$"),
    ("property-removed", CLOSED, {**CLOSED, "properties": {}}, "$.a"),
    (
        "property-claimed",
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "null"}}},
        "$.a",
    ),
    ("required-added", CLOSED, {**CLOSED, "required": ["a"]}, "$.a"),
    ("additional-tightened", {"type": "object"}, {"type": "object", "additionalProperties": False}, "$"),
    ("additional-tightened", {"type": "object"}, {"additionalProperties": {"type": "string"}}, "$"),
    (
        "limit-narrowed",
        {"additionalProperties": {"maximum": 2}},
        {"additionalProperties": {"maximum": 1}},
        "$.*",
    ),
    ("items-tightened", {"type": "array"}, {"type": "array", "items": {"type": "string"}}, "$[*]"),
    ("limit-narrowed", {"items": {"maximum": 2}}, {"items": {"maximum": 1}}, "$[*]"),
    ("default-changed", {"default": 1}, {"default": 2}, "$"),
    ("default-changed", {"default": 1}, {}, "$"),
    ("default-changed", {**NULLABLE, "default": None}, {**NULLABLE, "default": "x"}, "$"),
    ("alternative-removed", NULLABLE, {"anyOf": [{"type": "string"}]}, "$"),
    ("limit-narrowed", NULLABLE, {"anyOf": [{"type": "string", "maxLength": 4}, {"type": "null"}]}, "$"),
    ("alternative-removed", {"type": "integer"}, NULLABLE, "$"),
    ("condition-added", {}, {"allOf": [EITHER]}, "$"),
    ("condition-added", TYPED, ONE_MORE | {"allOf": [asked(1)]}, "$"),
    ("required-added", {"allOf": [{**EITHER, "then": {}}]}, {"allOf": [EITHER]}, "$.a"),
    ("limit-narrowed", {"allOf": [{"maximum": 2}]}, {"allOf": [{"maximum": 1}]}, "$"),
    ("unknown-changed", {}, {"dependentRequired": {"a": ["b"]}}, "$"),
]


@pytest.mark.parametrize(("rule", "released", "current", "path"), BREAKING)
def test_a_breaking_change_is_found_by_its_rule(
    rule: str, released: Schema, current: Schema, path: str
) -> None:
    assert [(found.rule, found.path) for found in compare(released, current)] == [(rule, path)]


@pytest.mark.parametrize(
    ("released", "current"),
    [
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"type": "integer"}, {"type": "number"}),
        ({"type": "string"}, NULLABLE | {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"const": "a"}, {"enum": ["a", "b"]}),
        ({"minimum": 1, "maxLength": 4}, {"minimum": 0, "maxLength": 5}),
        ({"pattern": "a"}, {}),
        (CLOSED, {**CLOSED, "properties": {"a": {"type": "string"}, "b": {"type": "string", "default": ""}}}),
        ({**CLOSED, "required": ["a"]}, CLOSED),
        (CLOSED, {**CLOSED, "additionalProperties": True}),
        ({"title": "A", "description": "b"}, {"title": "C"}),
        ({"allOf": [EITHER]}, {}),
        (TYPED, ONE_MORE | {"allOf": [asked(2)]}),
    ],
)
def test_a_widening_change_passes(released: Schema, current: Schema) -> None:
    assert compare(released, current) == []


def test_references_are_followed_and_may_be_recursive() -> None:
    released: Schema = {
        "$defs": {
            "Node": {"type": "object", "properties": {"n": {"maximum": 2}, "next": {"$ref": "#/$defs/Node"}}}
        },
        "$ref": "#/$defs/Node",
    }
    current: Schema = {
        "$defs": {
            "Knot": {"type": "object", "properties": {"n": {"maximum": 1}, "next": {"$ref": "#/$defs/Knot"}}}
        },
        "$ref": "#/$defs/Knot",
    }
    assert compare(released, released) == []
    assert {(found.rule, found.path) for found in compare(released, current)} == {
        ("limit-narrowed", "$.n"),
        ("limit-narrowed", "$.next.n"),
    }


@pytest.mark.parametrize("name", DOCUMENT_TYPES)
def test_every_schema_is_compatible_with_itself(name: str) -> None:
    assert compare(load_schema(name), load_schema(name)) == []


def test_a_lost_event_type_is_found() -> None:
    current = load_schema("event")
    current["properties"]["type"]["enum"].pop()
    current["allOf"].pop()
    assert [found.rule for found in compare(load_schema("event"), current)] == ["values-narrowed"]
