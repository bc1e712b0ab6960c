"""What agents may not name: paths, refs, other people's folders."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from artifacts import GitArtifactStore
from contracts.base.errors import InvalidInput, UnsafePath
from tests.artifacts.builders import git, outcome

UNSAFE = [
    "../../etc/cron.d/x",
    "/etc/passwd",
    "a/../../b",
    "..\\..\\x",
    "%2e%2e/x",
    "a\0b",
    "C:\\x",
    "~/.ssh/x",
    "/proc/self/environ",
    "a\nM 120000 inline b",
    "\udcff",
    "a/./b",
    "a//b",
    "",
    ".",
    ".git/config",
    ".GIT/hooks/x",
    "git~1/x",
    ".g\u200cit/config",
    "sub/.git",
    ".gitmodules",
    "e\u0301.py",
    "x" * 1_100,
    ".multi-agent/tasks/other.json",
    ".MULTI-AGENT/x",
    ".multi-agent",
    ".multi_agent/approvals.toml",
    "app/.MULTI_AGENT/approvals.toml",
]


@pytest.mark.parametrize("path", UNSAFE)
@pytest.mark.parametrize("content", [b"x", None])
async def test_an_unsafe_path_refuses_the_whole_outcome(
    local: GitArtifactStore, bare: Path, path: str, content: bytes | None
) -> None:
    with pytest.raises(UnsafePath):
        await local.write([outcome(files={"fine.py": b"", path: content})])
    assert git(bare, "for-each-ref") == ""


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"A": b""}, "upper and lower case"),
        ({"DIR/y": b""}, "upper and lower case"),
        ({"a/b": b""}, "both a file and a folder"),
        ({"dir": b""}, "both a file and a folder"),
        ({"dir": None}, "is a folder"),
        ({"n/a": b"", "N/b": b""}, "upper and lower case"),
        ({"n": b"", "n/b": b""}, "both a file and a folder"),
        ({"straße": b"", "STRASSE": b""}, "upper and lower case"),
    ],
)
async def test_clashes_with_what_is_there(
    local: GitArtifactStore, files: dict[str, bytes | None], told: str
) -> None:
    [base] = await local.write([outcome("t0", {"a": b"", "dir/x": b""})])
    with pytest.raises(UnsafePath, match=told):
        await local.write([outcome("t1", files, (base,))])


async def test_what_is_deleted_makes_room(local: GitArtifactStore) -> None:
    [base] = await local.write([outcome("t0", {"a": b"", "dir/x": b"", "dir/sub/y": b"", "Case": b""})])
    files = {
        "a": None,
        "a/b": b"1",
        "dir/x": None,
        "dir/sub/y": None,
        "dir": b"2",
        "Case": None,
        "case": b"3",
    }
    [sha] = await local.write([outcome("t1", files, (base,))])
    tree = {path: text for path, text in (await local.read_tree(sha)).items() if not path.startswith(".")}
    assert tree == {"a/b": b"1", "dir": b"2", "case": b"3"}


async def test_words_that_git_could_take_for_something_else(local: GitArtifactStore) -> None:
    files: dict[str, bytes | None] = {
        "-rf": b"1",
        "--upload-pack=x": b"2",
        'quo"te': b"3",
        "'; touch x": b"4",
        "data 5": b"data 100\ncommit refs/heads/main\n",
        "ünï/名前": b"6",
        ":x".replace(":", "="): b"done\n",
        "HEAD": b"7",
    }
    [sha] = await local.write([outcome(files=files, subject="--amend\n\ndata 3")])
    tree = await local.read_tree(sha)
    assert {path: text for path, text in tree.items() if not path.startswith(".")} == files


@pytest.mark.parametrize("field", ["workflow_id", "task_id", "execution_id"])
@pytest.mark.parametrize(
    "value", ["a..b", "x.lock", "-x", "a b", "a/b", "a\n", "", "x" * 101, "@{", "../x", "a.", "*", "x\0"]
)
async def test_names_that_no_ref_can_hold(local: GitArtifactStore, field: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        await local.write([dataclasses.replace(outcome(), **{field: value})])  # type: ignore[arg-type] # by name


async def test_result_is_no_task(local: GitArtifactStore) -> None:
    with pytest.raises(InvalidInput, match="merged outcome"):
        await local.write([dataclasses.replace(outcome(), task_id="result")])


async def test_metadata_must_be_about_the_same_task(local: GitArtifactStore) -> None:
    with pytest.raises(InvalidInput, match=r"metadata\.workflow_id 'w1'"):
        await local.write([dataclasses.replace(outcome(), workflow_id="w2")])


@pytest.mark.parametrize("when", [-1, 253_402_300_800])
async def test_times_that_git_cannot_hold(local: GitArtifactStore, when: int) -> None:
    with pytest.raises(InvalidInput, match="created_at"):
        await local.write([outcome(created_at=when)])
