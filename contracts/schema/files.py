"""Generates the JSON Schema files from the models: `python -m contracts.schema.files [--check|--write]`.

The text does not depend on the version of pydantic more than it must: generated titles are dropped, spellings
that differ between versions are brought to one, and keys have a fixed order. `--write` never changes a file
below `released/`: documents in use were written against such a copy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import click
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from contracts.base.model import SCHEMA_VERSION
from contracts.base.printing import print_line
from contracts.messages.events import EVENT_DATA, EventType, TaskEvent
from contracts.schema.compatibility import Breakage, compare
from contracts.schema.registry import DOCUMENT_TYPES, RELEASED, SCHEMAS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
CURRENT_RELEASE: Final = RELEASED / SCHEMA_VERSION

_FIRST_KEYS = ("$schema", "$id", "$ref", "description", "type", "const", "enum", "anyOf", "required", "if")
_LAST_KEYS = ("then", "properties", "additionalProperties", "items", "default", "allOf", "$defs")
_MAPS = frozenset({"properties", "$defs"})
_LISTS = frozenset({"anyOf", "allOf", "oneOf"})
_LITERALS = frozenset({"default", "const", "enum", "required", "type"})


def generate() -> dict[str, str]:
    """Generate the text of every schema file, by document type."""
    return {name: _text(name, _schema(name, entry.model)) for name, entry in DOCUMENT_TYPES.items()}


def event_schemas() -> dict[str, Any]:
    """Definitions of all envelopes and their data; the envelope of `Heartbeat` is named `HeartbeatEvent`."""
    models = {kind: TaskEvent[data] for kind, data in EVENT_DATA.items()}  # type: ignore[valid-type]  # from the registry
    places, combined = models_json_schema([(model, "validation") for model in models.values()])
    definitions: dict[str, Any] = combined["$defs"]
    for kind, model in models.items():
        place = places[model, "validation"]["$ref"].removeprefix("#/$defs/")
        envelope = definitions.pop(place)
        envelope["description"] = f"CloudEvents 1.0 envelope of {kind.value}"
        envelope["properties"]["type"] = {"const": kind.value, "type": "string"}
        envelope["required"] = ["specversion", *envelope["required"]]
        definitions[envelope_name(kind)] = envelope
    del definitions[EventType.__name__]
    return {name: _normalised(definitions[name]) for name in sorted(definitions)}


def envelope_name(kind: EventType) -> str:
    """The name under which the envelope of an event type is defined."""
    return f"{EVENT_DATA[kind].__name__}Event"


def drift(folder: Path = SCHEMAS) -> list[str]:
    """Compare with the committed files: one sentence for each that is missing or differs."""
    found = []
    for name, text in generate().items():
        path = folder / f"{name}.json"
        if not path.is_file():
            found.append(f"{path} is missing")
        elif path.read_text(encoding="utf-8") != text:
            found.append(f"{path} differs from the model; run python -m contracts.schema.files --write")
    return found


def breakages(released: Path = CURRENT_RELEASE) -> dict[str, list[Breakage]]:
    """By document type, find where the models refuse or misread what the released schema allows."""
    current = generate()
    found: dict[str, list[Breakage]] = {}
    for path in sorted(released.glob("*.json")):
        old = json.loads(path.read_text(encoding="utf-8"))
        text = current.get(path.stem)
        if text is None:
            found[path.stem] = [
                Breakage("document-removed", "$", f"there is no document type {path.stem!r} now")
            ]
        elif broken := compare(old, json.loads(text)):
            found[path.stem] = broken
    return found


def write(folder: Path = SCHEMAS, released: Path = CURRENT_RELEASE) -> None:
    """Write all files; a released copy is made only where there is none yet."""
    released.mkdir(parents=True, exist_ok=True)
    for name, text in generate().items():
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
        if not (released / f"{name}.json").exists():
            (released / f"{name}.json").write_text(text, encoding="utf-8")


def _schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    if name != "event":
        return model.model_json_schema()
    known = [kind.value for kind in EventType]
    return {
        "description": "A message between processes, a CloudEvents 1.0 envelope; `type` says what it holds.",
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": known, "type": "string"}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": kind.value}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{envelope_name(kind)}"},
            }
            for kind in EventType
        ],
        "$defs": event_schemas(),
    }


def _text(name: str, schema: dict[str, Any]) -> str:
    head = {"$schema": DIALECT, "$id": f"urn:multi-agent:{name}:{SCHEMA_VERSION}"}
    return json.dumps(_normalised(head | schema), indent=2, ensure_ascii=False) + "\n"


def _normalised(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    result = {key: _member(key, value) for key, value in schema.items() if key != "title"}
    if "const" in result and result.get("enum") == [result["const"]]:
        del result["enum"]
    if result.get("additionalProperties") is True:
        del result["additionalProperties"]
    if len(result.get("allOf", ())) == 1 and "$ref" in result["allOf"][0]:
        result |= result.pop("allOf")[0]
    return dict(sorted(result.items(), key=_key_order))


def _member(key: str, value: Any) -> Any:
    if key in _LITERALS:
        return value
    if key in _MAPS:
        names = sorted(value) if key == "$defs" else value
        return {name: _normalised(value[name]) for name in names}
    if key in _LISTS:
        return [_normalised(member) for member in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _normalised(value)


def _key_order(entry: tuple[str, Any]) -> tuple[int, int, str]:
    key = entry[0]
    if key in _FIRST_KEYS:
        return 0, _FIRST_KEYS.index(key), key
    return (2, _LAST_KEYS.index(key), key) if key in _LAST_KEYS else (1, 0, key)


@click.command()
@click.option("--write/--check", "writes", default=False, help="Write the files, or only compare (default).")
def main(writes: bool) -> None:
    """Write or check the JSON Schema files; exits 1 for drift or a breaking change."""
    if writes:
        write()
    complaints = drift()
    for name, broken in breakages().items():
        complaints += [f"{name}: {breakage}" for breakage in broken]
    for complaint in complaints:
        print_line(complaint, err=True)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
