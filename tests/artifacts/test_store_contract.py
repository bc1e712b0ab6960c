"""What CommitStore and ExchangeStore of contracts.ports promise, on every kind of store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from artifacts import GitArtifactStore
from contracts.base.errors import ArtifactError, MergeConflict, UnsafePath
from contracts.documents.reports import ArtifactMetadata
from contracts.ports.artifacts import CommitStore, RefMove
from tests.artifacts.builders import NOW, git, outcome

MISSING = "0123456789" * 4


def _port(store: GitArtifactStore) -> CommitStore:
    return store


async def test_what_is_written_is_read_by_others(store: GitArtifactStore, other: GitArtifactStore) -> None:
    [sha] = await _port(store).write([outcome(files={"src/a.py": b"a\0\xff", "b ü.txt": b""})])
    files = await other.read_tree(sha)
    assert files == {"src/a.py": b"a\0\xff", "b ü.txt": b""}


async def test_the_pending_ref_names_workflow_task_attempt_and_execution(
    store: GitArtifactStore, bare: Path
) -> None:
    [sha] = await store.write([outcome()])
    held = git(bare, "for-each-ref", "--format=%(refname) %(parent)")
    assert held == f"refs/pending/w1/t1/1/e1 {sha}"


async def test_again_is_a_no_op(store: GitArtifactStore, other: GitArtifactStore, bare: Path) -> None:
    first = await store.write([outcome(), outcome("t2")])
    refs = git(bare, "for-each-ref")
    assert await store.write([outcome(), outcome("t2")]) == first
    assert await other.write([outcome(), outcome("t2")]) == first
    assert git(bare, "for-each-ref") == refs


async def test_twice_in_one_batch_is_one_commit(store: GitArtifactStore) -> None:
    shas = await store.write([outcome(), outcome(), outcome(execution_id="e2")])
    assert len(set(shas)) == 1


async def test_nothing_to_write(store: GitArtifactStore) -> None:
    assert await store.write([]) == []


async def test_files_build_on_the_parent(store: GitArtifactStore) -> None:
    [first] = await store.write([outcome(files={"a": b"1", "b": b"2", "c/d": b"3"})])
    [second] = await store.write(
        [outcome("t2", {"a": b"9", "b": None, "c/d": None, "never": None}, (first,))]
    )
    files = await store.read_tree(second)
    assert {path: text for path, text in files.items() if not path.startswith(".")} == {"a": b"9"}
    assert set(files) == {"a"}


async def test_several_parents_are_merged_first(
    store: GitArtifactStore, other: GitArtifactStore, bare: Path
) -> None:
    [base] = await store.write([outcome("t0", {"same": b"0", "gone": b"0"})])
    left, right = await store.write(
        [outcome("t1", {"l": b"1"}, (base,)), outcome("t2", {"r": b"2", "gone": None}, (base,))]
    )
    [both] = await other.write([outcome("t3", {"l": b"3"}, (left, right))])
    files = await store.read_tree(both)
    assert (files["same"], files["l"], files["r"], "gone" in files) == (b"0", b"3", b"2", False)
    assert git(bare, "show", "-s", "--format=%P", both) == f"{left} {right}"


async def test_a_conflict_names_path_tasks_and_commits(store: GitArtifactStore) -> None:
    one, two = await store.write([outcome("t1", {"x/y": b"1"}), outcome("t2", {"x/y": b"2"})])
    with pytest.raises(MergeConflict, match=f"'x/y'.*task t1.*{one}.*task t2.*{two}"):
        await store.write([outcome("t3", {}, (one, two))])
    with pytest.raises(MergeConflict, match="'x/y'"):
        await store.merge([one, two], subject="m", created_at=NOW)


async def test_merge_is_deterministic_and_readable_elsewhere(
    store: GitArtifactStore, other: GitArtifactStore
) -> None:
    shas = await store.write([outcome("t1"), outcome("t2"), outcome("t3")])
    merged = await store.merge(shas, subject="all", created_at=NOW)
    assert {"t1.py", "t2.py", "t3.py"} <= set(await other.read_tree(merged))
    assert await other.merge(shas, subject="all", created_at=NOW) == merged


async def test_merge_of_one_and_of_none(store: GitArtifactStore) -> None:
    [sha] = await store.write([outcome()])
    assert await store.merge([sha], subject="m", created_at=NOW) == sha
    empty = await store.merge([], subject="empty", created_at=NOW)
    assert await store.read_tree(empty) == {}
    [child] = await store.write([outcome("t2", parents=(empty,))])
    assert "t2.py" in await store.read_tree(child)


async def test_publish_moves_branches_and_tags(
    store: GitArtifactStore, other: GitArtifactStore, bare: Path
) -> None:
    one, two = await store.write([outcome("t1"), outcome("t2")])
    moves = [RefMove("w1", "t1", one), RefMove("w1", "t2", two), RefMove("w1", "result", two)]
    await other.publish(moves)
    await store.publish(moves)
    shown = git(bare, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags")
    assert shown.splitlines() == [
        f"refs/heads/ai/generated/w1/result {two}",
        f"refs/heads/ai/generated/w1/t1 {one}",
        f"refs/heads/ai/generated/w1/t2 {two}",
        f"refs/tags/workflow_w1_t1 {one}",
        f"refs/tags/workflow_w1_t2 {two}",
    ]


async def test_publish_follows_a_new_decision(store: GitArtifactStore, bare: Path) -> None:
    one, two = await store.write([outcome(), outcome(files={"other": b""}, execution_id="e2")])
    await store.publish([RefMove("w1", "t1", one)])
    await store.publish([RefMove("w1", "t1", two)])
    assert git(bare, "rev-parse", "ai/generated/w1/t1", "workflow_w1_t1").splitlines() == [two, two]


async def test_a_replaced_outcome_is_kept_unless_the_new_one_contains_it(
    store: GitArtifactStore, bare: Path
) -> None:
    one, other = await store.write([outcome(), outcome(files={"other": b""}, execution_id="e2")])
    [child] = await store.write([outcome(parents=(other,), execution_id="e3")])
    for commit in (one, other, child, one):
        await store.publish([RefMove("w1", "t1", commit)])
        await store.publish([RefMove("w1", "t1", commit)])
    kept = git(bare, "for-each-ref", "--format=%(refname) %(objectname)", "refs/superseded").splitlines()
    assert kept == sorted(f"refs/superseded/w1/t1/{sha} {sha}" for sha in (one, child))


async def test_publish_of_a_missing_commit_moves_nothing(store: GitArtifactStore, bare: Path) -> None:
    [sha] = await store.write([outcome()])
    with pytest.raises(ArtifactError, match=MISSING):
        await store.publish([RefMove("w1", "t1", sha), RefMove("w1", "t2", MISSING)])
    assert git(bare, "for-each-ref", "refs/heads", "refs/tags") == ""


async def test_missing_and_misspelt_commits(store: GitArtifactStore) -> None:
    with pytest.raises(ArtifactError, match=MISSING):
        await store.read_tree(MISSING)
    with pytest.raises(ArtifactError, match=MISSING):
        await store.write([outcome(parents=(MISSING,))])
    for name in ("HEAD", "--all", "main", MISSING.upper() + "x", "", "a\nb"):
        with pytest.raises(ArtifactError, match="40 hex digits"):
            await store.read_tree(name)


async def test_read_tree_is_bounded(store: GitArtifactStore) -> None:
    [sha] = await store.write([outcome(files={f"f{i}": b"%d" % i * 1_000 for i in range(30)})])
    with pytest.raises(ArtifactError, match="larger"):
        await store.read_tree(sha, max_bytes=20_000)
    assert len(await store.read_tree(sha)) == 30


async def test_exchanges(store: GitArtifactStore, other: GitArtifactStore) -> None:
    assert await store.load_exchange("w1", "t1", "0/abc") is None
    await store.save_exchange("w1", "t1", "0/abc", b'{"text": "\xff"}')
    await store.save_exchange("w1", "t1", "../../x\n y", b"")
    assert await other.load_exchange("w1", "t1", "0/abc") == b'{"text": "\xff"}'
    assert await other.load_exchange("w1", "t1", "../../x\n y") == b""
    assert await other.load_exchange("w1", "t2", "0/abc") is None


async def test_of_several_that_create_an_exchange_one_succeeds(
    store: GitArtifactStore, other: GitArtifactStore
) -> None:
    contents = [b"%d" % number for number in range(6)]
    made = await asyncio.gather(
        *(
            (store if number % 2 else other).create_exchange("w1", "t1", "slot", content)
            for number, content in enumerate(contents)
        )
    )
    assert made.count(True) == 1
    for one in (store, other):
        assert await one.load_exchange("w1", "t1", "slot") == contents[made.index(True)]
        assert await one.create_exchange("w1", "t1", "slot", contents[made.index(True)])
        assert not await one.create_exchange("w1", "t1", "slot", b"late")


async def test_concurrent_writes_of_one_process_share_a_fast_import(store: GitArtifactStore) -> None:
    calls = [store.write([outcome(f"t{i}")]) for i in range(40)]
    calls.append(store.write([outcome("bad", {"../x": b""})]))
    *written, refused = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(refused, UnsafePath)
    shas = [sha for one in written if isinstance(one, list) for sha in one]
    assert len(set(shas)) == 40
    assert "t39.py" in await store.read_tree(shas[39])


async def test_provenance_can_be_read_from_the_commit_alone(store: GitArtifactStore, bare: Path) -> None:
    commit = outcome(subject="first\nTask-Id: forged\r\n\x00", model_name="m\n\nWorkflow-Id: forged")
    [sha] = await store.write([commit])
    raw = git(bare, "cat-file", "commit", sha)
    assert "author multi-agent <coder@multi-agent.invalid> 1700000000 +0000" in raw
    shown = git(bare, "show", "-s", "--format=%(trailers:only,unfold)", sha).splitlines()
    assert [line for line in shown if line] == [
        "Workflow-Id: w1",
        "Task-Id: t1",
        "Attempt: 1",
        "Correlation-Id: c1",
        "Agent-Role: coder",
        "Agent-Version: 1.0",
        "Model-Name: m Workflow-Id: forged",
        f"Prompt-Hash: {'a' * 64}",
        "Assisted-by: multi-agent:m Workflow-Id: forged",
        f"Metadata: {git(bare, 'rev-parse', 'refs/pending/w1/t1/1/e1:metadata.json')}",
    ]
    await store.publish([RefMove("w1", "t1", sha)])
    text = git(bare, "cat-file", "blob", "refs/multi-agent/meta/w1/t1")
    assert ArtifactMetadata.model_validate_json(text) == commit.metadata
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True)


async def test_history_and_verify(store: GitArtifactStore, other: GitArtifactStore) -> None:
    one, two = await store.write([outcome("t1"), outcome("t2", created_at=NOW + 1)])
    [three] = await store.write([outcome("t3", {"z": b"", "ä": b""}, (one, two), created_at=NOW + 2)])
    merged = await store.merge([three], subject="m", created_at=NOW + 3)
    tasks = {"t1": one, "t2": two, "t3": three, "result": merged}
    await store.publish([RefMove("w1", task, sha) for task, sha in tasks.items()])
    infos = await other.history("w1")
    assert [(info.task_id, info.sha) for info in infos] == list(tasks.items())
    assert infos[0].files == ("t1.py",)
    assert infos[2].files == ("z", "ä")
    assert infos[1].trailers["Task-Id"] == "t2"
    assert infos[1].subject == "coder: do it"
    assert await other.history("unknown") == []
    assert await store.verify() == []
