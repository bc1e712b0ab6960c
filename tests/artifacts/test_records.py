"""Metadata of tasks: beside the trees, and in those of the first release."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from artifacts import GitArtifactStore
from contracts.base.errors import ArtifactError
from contracts.documents.reports import ArtifactMetadata
from contracts.ports.artifacts import PendingCommit, RefMove
from tests.artifacts.builders import commit_all, git, outcome

_META = ("for-each-ref", "--format=%(refname) %(objectname)", "refs/multi-agent")


async def _records(
    store: GitArtifactStore, commit: str, workflow_id: str = "w1"
) -> dict[str, ArtifactMetadata]:
    found = await store.read_records(workflow_id, commit)
    return {task: ArtifactMetadata.model_validate_json(record) for task, record in found.items()}


def _told(commit: PendingCommit, note: str) -> PendingCommit:
    return replace(commit, metadata=commit.metadata.model_copy(update={"report": {"note": note}}))


async def test_a_task_reads_the_metadata_of_all_before_it_before_any_branch_has_moved(
    store: GitArtifactStore, other: GitArtifactStore
) -> None:
    one, two = await store.write([_told(outcome("t1"), "1"), _told(outcome("t2"), "2")])
    [three] = await store.write([outcome("t3", {}, (one, two))])
    [four] = await store.write([outcome("t4", {}, (one,))])
    both = await store.merge([three, four], subject="Base of t5", created_at=1)
    found = await _records(other, both)
    assert list(found) == ["t1", "t2", "t3", "t4"]
    assert [found[name].report for name in ("t1", "t2", "t3")] == [{"note": "1"}, {"note": "2"}, None]
    assert list(await _records(other, two)) == ["t2"]


async def test_no_file_of_ours_is_in_the_tree(store: GitArtifactStore, bare: Path) -> None:
    [sha] = await store.write([outcome("t1", {"a.py": b""})])
    [child] = await store.write([outcome("t2", {}, (sha,))])
    assert git(bare, "ls-tree", "-r", "--name-only", child) == "a.py"


async def test_the_ref_of_the_metadata_moves_with_the_branch(store: GitArtifactStore, bare: Path) -> None:
    first, second = await store.write(
        [_told(outcome("t1"), "old"), _told(outcome("t1", execution_id="e2"), "new")]
    )
    assert git(bare, *_META) == ""
    await store.publish([RefMove("w1", "t1", first)])
    old = git(bare, "rev-parse", "refs/multi-agent/meta/w1/t1")
    await store.publish([RefMove("w1", "t1", second)])
    text = git(bare, "cat-file", "blob", "refs/multi-agent/meta/w1/t1")
    assert json.loads(text)["report"] == {"note": "new"}
    # What a restored database has lost is kept whole.
    kept = git(bare, "for-each-ref", "--format=%(objectname)", "refs/superseded").split()
    assert set(kept) == {first, old}


async def test_neither_moves_without_the_other(local: GitArtifactStore, bare: Path) -> None:
    [sha] = await local.write([outcome("t1")])
    (bare / "refs/multi-agent/meta/w1/t1").mkdir(parents=True)
    (bare / "refs/multi-agent/meta/w1/t1/in-the-way").write_text(f"{sha}\n")
    with pytest.raises(ArtifactError):
        await local.publish([RefMove("w1", "t1", sha)])
    assert git(bare, "for-each-ref", "refs/heads", "refs/tags") == ""


async def test_the_result_has_no_metadata_of_its_own(store: GitArtifactStore, bare: Path) -> None:
    [sha] = await store.write([outcome("t1")])
    await store.publish([RefMove("w1", "t1", sha), RefMove("w1", "result", sha)])
    assert [line.split()[0] for line in git(bare, *_META).splitlines()] == ["refs/multi-agent/meta/w1/t1"]


async def test_metadata_stays_when_pending_refs_go(local: GitArtifactStore, bare: Path) -> None:
    """Also for whoever collects garbage with all force."""
    [sha] = await local.write([_told(outcome("t1"), "kept")])
    await local.publish([RefMove("w1", "t1", sha)])
    assert await local.prune_pending(0) == 1
    await local.close()
    git(bare, "config", "extensions.preciousObjects", "false")
    git(bare, "gc", "--prune=now", "--quiet")
    assert (await _records(local, sha))["t1"].report == {"note": "kept"}


async def test_more_parents_than_a_commit_has(local: GitArtifactStore) -> None:
    parents = await local.write([outcome(f"t{n}") for n in range(260)])
    [sha] = await local.write([outcome("all", {}, tuple(parents))])
    assert len(await _records(local, sha)) == 261


async def test_another_workflows_outcomes_below_are_not_its_own(local: GitArtifactStore) -> None:
    [old] = await local.write([outcome("t1", workflow_id="w0")])
    [new] = await local.write([outcome("t2", {}, (old,))])
    assert list(await _records(local, new)) == ["t2"]


async def test_trees_of_the_first_release_are_read(local: GitArtifactStore, tmp_path: Path) -> None:
    """It wrote the metadata of each task into the tree, so a workflow may have both kinds."""
    work = tmp_path / "work"
    (work / ".multi-agent" / "tasks").mkdir(parents=True)
    git(work, "init", "-q")
    metadata = _told(outcome("t1"), "in the tree").metadata
    (work / ".multi-agent" / "tasks" / "t1.json").write_text(metadata.model_dump_json())
    (work / "t1.py").write_text("x = 1\n")
    commit_all(work)
    base = await local.import_base(work)
    [sha] = await local.write([_told(outcome("t2", {"t2.py": b""}, (base,)), "beside it")])
    found = await _records(local, sha)
    assert {name: one.report for name, one in found.items()} == {
        "t1": {"note": "in the tree"},
        "t2": {"note": "beside it"},
    }


async def test_metadata_that_is_missing_is_named(local: GitArtifactStore, bare: Path) -> None:
    [sha] = await local.write([outcome("t1")])
    name = git(bare, "rev-parse", "refs/pending/w1/t1/1/e1:metadata.json")
    path = bare / "objects" / name[:2] / name[2:]
    content = path.read_bytes()
    path.unlink()
    try:
        with pytest.raises(ArtifactError, match=f"metadata of task t1 is missing .object {name}"):
            await local.read_records("w1", sha)
    finally:
        path.write_bytes(content)
