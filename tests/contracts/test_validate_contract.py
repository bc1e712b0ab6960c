"""The command that checks a file, as people and scripts call it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import contracts
from contracts.base.strict_json import MAX_DOCUMENT_BYTES
from contracts.schema.registry import DOCUMENT_TYPES
from contracts.validate_contract import document_problems, main

ROOT = Path(contracts.__file__).parent.parent


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_the_documented_command() -> None:
    command = ["-m", "contracts.validate_contract", "contracts/sample_todo_list.json", "--type", "todo"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "contracts/sample_todo_list.json: valid todo document\n",
        "",
    )


@pytest.mark.parametrize("name", DOCUMENT_TYPES)
def test_each_sample_is_valid_as_its_type_and_no_other(name: str) -> None:
    sample = DOCUMENT_TYPES[name].sample
    valid = [other for other in DOCUMENT_TYPES if run(sample, "--type", other).exit_code == 0]
    assert valid == [name]


def test_every_problem_is_printed_with_its_path(tmp_path: Path) -> None:
    document = json.loads((ROOT / "contracts" / "sample_todo_list.json").read_text())
    document["items"][0]["agent_role"] = "Arch itect"
    document["items"][1]["timeout_seconds"] = 0
    document["items"][1]["required_tag"] = "a b"
    document["items"][2]["colour"] = "red"
    del document["request"]
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(document))
    result = run(file, "--type", "todo")
    assert result.exit_code == 1
    assert sorted(line.split(": ")[0] for line in result.stdout.splitlines()) == [
        "$.items[0].agent_role",
        "$.items[1].required_tag",
        "$.items[1].timeout_seconds",
        "$.items[2].colour",
        "$.request",
    ]
    assert "not a valid todo document, problems: 5" in result.stderr


def test_what_only_the_model_sees_is_added() -> None:
    """Python's `$` matches before a last line break, so jsonschema lets this id pass."""
    document = json.loads(DOCUMENT_TYPES["contract"].sample.read_text())
    document["contract_id"] = "sma\n"
    (problem,) = document_problems("contract", json.dumps(document).encode())
    assert problem.path == "$.contract_id"


def test_a_plan_gets_its_own_checks(tmp_path: Path) -> None:
    document = json.loads((ROOT / "contracts" / "sample_todo_list.json").read_text())
    document["items"][0]["dependencies"] = ["review"]
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(document))
    result = run(file, "--type", "todo")
    assert result.exit_code == 1
    assert "tasks wait for each other: design -> review -> verify -> strategy -> design" in result.stdout
    limited = run(ROOT / "contracts" / "sample_todo_list.json", "--type", "todo", "--max-tasks", "4")
    assert limited.stdout == "$.items: has 5 tasks, the limit is 4; plan fewer\n"


def test_json_output(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("{}")
    result = run(file, "--type", "code", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "file": str(file),
        "type": "code",
        "valid": False,
        "problems": [
            {"path": "$.summary", "message": "required field is missing"},
            {"path": "$.files", "message": "required field is missing"},
        ],
    }
    assert json.loads(run(DOCUMENT_TYPES["code"].sample, "--type", "code", "--json").stdout)["valid"] is True


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "$: not JSON: Expecting property name"),
        (b'{"a": 1, "a": 2}', "$: not acceptable JSON: the key 'a' appears twice"),
        (b'{"summary": "caf\xe9"}', "$: not UTF-8: byte 0xe9 at offset 16"),
        (b"[" * 100_000, "$: not readable: nested too deeply"),
        (b"null", "$: "),
        (b'{"\\u001b[31mred": 1, "summary": "\\u001b[31m"}', "unknown field"),
    ],
)
def test_hostile_files_get_a_sentence(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content)
    result = run(file, "--type", "code")
    assert result.exit_code == 1
    assert reason in result.stdout
    assert "\x1b" not in result.output
    assert "Traceback" not in result.output


def test_50_mb_are_refused_without_being_parsed(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    with file.open("wb") as target:
        target.truncate(50_000_000)
    result = run(file, "--type", "code")
    assert result.exit_code == 1
    assert result.stdout == f"$: larger than the limit of {MAX_DOCUMENT_BYTES:,} bytes\n"


def test_long_values_are_shortened(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"summary": "s" * 100_000, "files": [{"path": "a", "content": None}] * 1_000}))
    result = run(file, "--type", "code")
    assert result.exit_code == 1
    assert {line.split(":")[0] for line in result.stdout.splitlines()} == {"$.summary", "$.files"}
    assert len(result.stdout) < 1_000


@pytest.mark.parametrize(
    "arguments",
    [["none.json", "--type", "todo"], [".", "--type", "todo"], ["{sample}", "--type", "essay"], ["{sample}"]],
)
def test_wrong_use_exits_2(arguments: list[str]) -> None:
    sample = str(DOCUMENT_TYPES["todo"].sample)
    result = run(*(argument.format(sample=sample) for argument in arguments))
    assert result.exit_code == 2
    assert "Error: " in result.stderr
