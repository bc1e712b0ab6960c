"""What a repository may say about work in it, and how a mistake is named."""

from __future__ import annotations

import time

import pytest

from contracts.base.errors import InvalidInput
from contracts.documents.path_patterns import matches
from contracts.documents.repository_settings import (
    MAX_BYTES,
    OWN_FILE,
    PROJECT_FILE,
    RepositorySettings,
    read_settings,
)

ALL = b"""
[tool.multi-agent]
test = "pytest -q"
lint = "ruff check ."
type = "mypy"
format = "ruff format ."
setup = "sh -c 'make a && make b'"
services = ["postgresql", "redis"]
protected = ["migrations/", "*.lock"]
model = "gemini:gemini-2.5-flash"
budget_usd = 5
"""


def test_the_table_of_the_project_file_is_read() -> None:
    found = read_settings({PROJECT_FILE: ALL})
    assert found is not None
    assert (found.file, found.note) == (PROJECT_FILE, "")
    assert list(found.settings.commands) == ["test", "lint", "type", "format", "setup"]
    assert found.settings.lines[-4:] == (
        "services: postgresql, redis",
        "protected: migrations/, *.lock",
        "model: gemini:gemini-2.5-flash",
        "budget: $5.00 at most",
    )


@pytest.mark.parametrize(
    "raw", [b"", b"[project]\nname = 'x'\n", b"tool = 1", b"[tool.other]\n", b"x = ", b"\xff"]
)
def test_a_project_file_without_the_table_says_nothing(raw: bytes) -> None:
    assert read_settings({PROJECT_FILE: raw}) is None


def test_the_own_file_counts_whole_and_that_is_said() -> None:
    found = read_settings({PROJECT_FILE: ALL, OWN_FILE: b'lint = "ruff"\n'})
    assert found is not None
    assert found.settings == RepositorySettings(lint="ruff")
    assert found.note == ".multi-agent.toml counts, [tool.multi-agent] in pyproject.toml does not"


LINE = "set it to a command line of at most 500 characters, such as 'pytest -q'"
PATHS = "set it to a list of at most 100 paths such as 'migrations/' or '*.lock'"
KEYS = "test, lint, type, format, setup, services, protected, model, budget_usd, approvals"
MISTAKES = [
    (b"tset = 'x'", "'tset' is no setting; did you mean 'test'?"),
    (
        b"x9 = 1",
        f"'x9' is no setting; there are {KEYS}",
    ),
    (b"test = 3", f"test is 3; {LINE}"),
    (b"test = ['pytest']", f"test is ('pytest',); {LINE}"),
    (b"test = ''", f"test is '': it is empty; {LINE}"),
    (b"test = 'a && b'", f"test is 'a && b': no shell runs it, so quote '&&', or write sh -c '...'; {LINE}"),
    (b"test = 'a > b'", f"test is 'a > b': no shell runs it, so quote '>', or write sh -c '...'; {LINE}"),
    (b'test = "a \'b"', f'test is "a \'b": No closing quotation; {LINE}'),
    (b'test = "a\\nb"', f"test is 'a\\nb': it must be one line; {LINE}"),
    (
        b"protected = 'a'",
        "protected is 'a'; set it to a list of at most 100 paths such as 'migrations/' or '*.lock'",
    ),
    (b"services = 'redis'", "services is 'redis'; set it to a list of 'postgresql' and 'redis'"),
    (b"services = ['mysql']", "services[0] is 'mysql'; set it to a list of 'postgresql' and 'redis'"),
    (b"model = 'manual:/home'", "model is 'manual:/home'; set it to 'gemini:MODEL' or 'openai:MODEL'"),
    (b"model = 'record:a:replay'", "model is 'record:a:replay'; set it to 'gemini:MODEL' or 'openai:MODEL'"),
    (b"budget_usd = 0", "budget_usd is 0; set it to a number above 0, at most 1,000,000"),
    (b"budget_usd = true", "budget_usd is True; set it to a number above 0, at most 1,000,000"),
    (b"budget_usd = nan", "budget_usd is nan; set it to a number above 0, at most 1,000,000"),
    (
        b"approvals = 1",
        "approvals is 1; set it to a table with a version and rules, as docs/approvals.md has it",
    ),
    (
        b"[approvals]\nversion = '1'\n[[approvals.rules]]\nname = 'a'\nrisk = 'grave'",
        "approvals.rules[0].risk is 'grave'; set it to a table with a version and rules, "
        "as docs/approvals.md has it",
    ),
    (
        b"[approvals]\nversion = '1'\n[[approvals.rules]]\nname = 'a'\nwhen = 1",
        "approvals.rules[0].when is no setting of a rule; remove it",
    ),
    *(
        (
            f"[approvals]\nversion = '1'\n[[approvals.rules]]\nname = 'a'\n{wider}".encode(),
            f"approvals is {{'version': '1', 'rules': ({{'name': 'a', {shown}}},)}}: rule 'a' makes "
            "approvals wider (idempotent, hours above 24, or risk low), which the user alone may; set it to "
            "a table with a version and rules, as docs/approvals.md has it",
        )
        for wider, shown in (
            ("idempotent = true", "'idempotent': True"),
            ("hours = 25", "'hours': 25"),
            ("risk = 'low'", "'risk': 'low'"),
        )
    ),
    (
        b"[approvals]\nversion = '1'\n[[approvals.rules]]\nname = 'a'\nthen = 'allow'",
        "approvals is {'version': '1', 'rules': ({'name': 'a', 'then': 'allow'},)}: rule 'a' allows, which "
        "the user alone may; set it to a table with a version and rules, as docs/approvals.md has it",
    ),
    (b"test = ", "is no TOML: Invalid value (at end of document)"),
    (b"\xff", "is not UTF-8 at byte 0"),
    (b"a = " + b"[" * 5_000, "is nested too deeply"),
    (b"#" * (MAX_BYTES + 1), f"has {MAX_BYTES + 1:,} bytes, the limit is {MAX_BYTES:,}"),
]


@pytest.mark.parametrize(("raw", "said"), MISTAKES)
def test_a_mistake_is_one_line_with_file_key_value_and_what_is_allowed(raw: bytes, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_settings({OWN_FILE: raw})
    text = str(refused.value)
    assert text.startswith(f"{OWN_FILE}: ")
    assert text.partition(": ")[2] == said


def test_every_mistake_is_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_settings({OWN_FILE: b"tset = 'x'\nlint = 3\nprotected = ['../x', 'ok', 5]\n"})
    starts = [line.partition(" is ")[0] for line in str(refused.value).split("\n")]
    assert starts == [f"{OWN_FILE}: {key}" for key in ("lint", "protected[0]", "protected[2]", "'tset'")]


def test_a_broken_project_file_that_names_the_table_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"so \[tool\.multi-agent\] cannot be read"):
        read_settings({PROJECT_FILE: ALL + b"x = "})
    with pytest.raises(InvalidInput, match="make it a table"):
        read_settings({PROJECT_FILE: b"[tool]\nmulti-agent = 3"})


LONG = ("a/" * 101, "é" * 600)


@pytest.mark.parametrize(
    "pattern", ["", "/", "!a", "a\\b", "../a", "a//b", "a/./b", "a\u202eb", "a\nb", *LONG]
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="protected"):
        RepositorySettings(protected=(pattern,))


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("setup.py", ["setup.py", "a/setup.py", "setup.py/x"], ["setup.pyc", "asetup.py"]),
        ("/setup.py", ["setup.py"], ["a/setup.py"]),
        ("db/schema.sql", ["db/schema.sql", "DB/Schema.SQL"], ["a/db/schema.sql"]),
        ("migrations/", ["migrations/a", "a/migrations/b/c"], ["migrations"]),
        ("db/**", ["db/a", "db/a/b"], ["db", "a/db/c"]),
        ("*.lock", ["uv.lock", "a/b/x.lock"], ["lock", "a.lock.txt"]),
        ("src/*/x.py", ["src/a/x.py"], ["src/x.py", "src/a/b/x.py"]),
        ("src/**/x.py", ["src/x.py", "src/a/b/x.py"], ["x.py", "src/x"]),
        ("**/x?", ["xa", "a/b/xa"], ["x", "xab"]),
        ("app/[id]/page.ts", ["app/[id]/page.ts"], ["app/i/page.ts"]),
        ("e\u0301.txt", ["\u00e9.txt"], ["e.txt"]),
        ("**", ["a", "a/b"], []),
    ],
)
def test_a_pattern_is_read_as_in_a_gitignore_file(
    pattern: str, inside: list[str], outside: list[str]
) -> None:
    said = RepositorySettings(protected=(pattern,))
    assert {path for path in inside + outside if said.protection(path)} == set(inside)


def test_no_pattern_takes_long() -> None:
    before = time.process_time()
    assert not matches("/".join(["**", "*a" * 80 + "b"] * 40), "/".join(["a" * 200] * 90))
    assert time.process_time() - before < 1
