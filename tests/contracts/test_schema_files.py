"""The committed schemas are the models', and still read what was written against the released ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from contracts.schema import files
from contracts.schema.files import CURRENT_RELEASE, breakages, drift, generate, write
from contracts.schema.registry import DOCUMENT_TYPES, load_schema


def test_committed_schemas_do_not_drift_from_the_models() -> None:
    assert drift() == []


def test_released_documents_can_still_be_read() -> None:
    broken = {name: [str(breakage) for breakage in found] for name, found in breakages().items()}
    assert broken == {}


@pytest.mark.parametrize("name", DOCUMENT_TYPES)
def test_every_type_has_a_released_schema_with_its_urn(name: str) -> None:
    schema = load_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:multi-agent:{name}:1.0"
    assert schema["$schema"].endswith("draft/2020-12/schema")
    assert (CURRENT_RELEASE / f"{name}.json").is_file()


def test_no_generated_title_is_left() -> None:
    assert all('"title": "' not in text for text in generate().values())


def test_write_never_changes_a_released_copy(tmp_path: Path) -> None:
    released = tmp_path / "released"
    released.mkdir()
    (released / "todo.json").write_text("{}")
    write(tmp_path, released)
    assert (released / "todo.json").read_text() == "{}"
    assert json.loads((tmp_path / "todo.json").read_text()) == load_schema("todo")
    assert (released / "event.json").read_text() == (tmp_path / "event.json").read_text()


def test_drift_names_missing_and_changed_files(tmp_path: Path) -> None:
    write(tmp_path, tmp_path / "released")
    assert drift(tmp_path) == []
    (tmp_path / "todo.json").write_text("{}")
    (tmp_path / "code.json").unlink()
    changed, missing = drift(tmp_path)
    assert "todo.json" in changed
    assert "--write" in changed
    assert "code.json is missing" in missing


def test_a_breaking_change_names_its_rule(tmp_path: Path) -> None:
    old = load_schema("todo")
    old["properties"]["owner"] = {"type": "string"}
    old["$defs"]["TodoItem"]["properties"]["priority"]["maximum"] = 1_000
    (tmp_path / "todo.json").write_text(json.dumps(old))
    (tmp_path / "essay.json").write_text("{}")
    found = {name: [(b.rule, b.path) for b in broken] for name, broken in breakages(tmp_path).items()}
    assert found == {
        "essay": [("document-removed", "$")],
        "todo": [("property-removed", "$.owner"), ("limit-narrowed", "$.items[*].priority")],
    }


def test_spellings_of_other_pydantic_versions_are_normalised() -> None:
    older = {
        "title": "X",
        "properties": {
            "title": {"title": "Title", "allOf": [{"$ref": "#/$defs/Y"}], "default": {"title": 1}}
        },
        "$defs": {"Y": {"const": "1.0", "enum": ["1.0"], "additionalProperties": True, "minimum": 0.0}},
    }
    newer = {
        "properties": {"title": {"$ref": "#/$defs/Y", "default": {"title": 1}}},
        "$defs": {"Y": {"const": "1.0", "minimum": 0}},
    }
    assert files._text("x", older) == files._text("x", newer)


def test_command_checks_by_default() -> None:
    result = CliRunner().invoke(files.main, [])
    assert (result.exit_code, result.output) == (0, "")
