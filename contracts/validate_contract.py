"""Checks a document file: `python -m contracts.validate_contract FILE --type todo`.

Exits 0 for a valid document, 1 for one with problems, 2 for wrong use.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from contracts.base.errors import InvalidDocument, Problem
from contracts.base.printing import print_json, print_line
from contracts.base.strict_json import MAX_DOCUMENT_BYTES, MAX_PROBLEMS, json_path, read_json
from contracts.base.text import visible_line
from contracts.documents.plan_checks import PlanLimits, check_plan
from contracts.documents.todo_list import TodoList
from contracts.schema.registry import DOCUMENT_TYPES, load_schema, parse_document

_MESSAGE_CHARACTERS = 300


def document_problems(name: str, raw: bytes, limits: PlanLimits | None = None) -> list[Problem]:
    """Find every problem of a document of the named type: JSON, schema, model, and the checks of plans.

    [] when it is valid. Where schema and model complain about the same place, the schema speaks.
    """
    try:
        document = read_json(raw, name)
    except InvalidDocument as error:
        return error.problems
    try:
        parsed = parse_document(name, raw)
    except InvalidDocument as error:
        found = schema_problems(name, document)
        told = {problem.path for problem in found}
        return [*found, *(problem for problem in error.problems if problem.path not in told)]
    if found := schema_problems(name, document):
        return found
    return check_plan(parsed, limits or PlanLimits()) if isinstance(parsed, TodoList) else []


def schema_problems(name: str, document: Any) -> list[Problem]:
    """Check a parsed document against the committed JSON Schema; at most MAX_PROBLEMS problems."""
    found: dict[Problem, None] = {}
    for error in Draft202012Validator(load_schema(name)).iter_errors(document):
        found.update(dict.fromkeys(_problems(error)))
        if len(found) > MAX_PROBLEMS:
            break
    return list(found)[:MAX_PROBLEMS]


def _problems(error: ValidationError) -> Iterator[Problem]:
    place = list(error.absolute_path)
    schema: Any = error.schema
    instance: Any = error.instance
    if error.validator == "required":
        for name in schema["required"]:
            if name not in instance:
                yield Problem(json_path([*place, name]), "required field is missing")
    elif error.validator == "additionalProperties":
        for name in instance:
            if name not in schema.get("properties", {}):
                yield Problem(json_path([*place, name]), "unknown field; remove it")
    elif error.validator == "anyOf" and error.context:
        for inner in error.context:
            if inner.validator != "type" or inner.validator_value != "null":
                yield from _problems(inner)
    else:
        yield Problem(json_path(place), _short(error.message))


def _short(message: str) -> str:
    """Shorten a message in the middle: it begins with the whole offending value and ends with the reason."""
    text = visible_line(message)
    half = _MESSAGE_CHARACTERS // 2
    return text if len(text) <= 2 * half else f"{text[:half]} ... {text[-half:]}"


def _read(path: Path) -> bytes:
    """Read at most one byte above the limit, so that a larger file is refused without reading all of it."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from None


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--type", "name", type=click.Choice(list(DOCUMENT_TYPES)), required=True, help="What it should be."
)
@click.option("--max-tasks", default=PlanLimits().max_tasks, show_default=True, type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(file: Path, name: str, max_tasks: int, as_json: bool) -> None:
    """Check FILE and print every problem with its JSON path."""
    problems = document_problems(name, _read(file), PlanLimits(max_tasks=max_tasks))
    if as_json:
        listed = [{"path": problem.path, "message": problem.message} for problem in problems]
        report = {"file": str(file), "type": name, "valid": not problems, "problems": listed}
        print_json(report)
    elif problems:
        for problem in problems:
            print_line(str(problem))
        print_line(f"{file}: not a valid {name} document, problems: {len(problems)}", err=True)
    else:
        print_line(f"{file}: valid {name} document")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
