"""What a task starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents.sdk.base_tree import read_base, read_start
from artifacts import GitArtifactStore, create_store
from artifacts.git.fast_import import FILE_MODE, Draft, Put
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError
from contracts.base.refs import METADATA_FOLDER, SNAPSHOTS
from tests.agents.support import task_request
from tests.artifacts.builders import outcome


async def test_metadata_is_parsed_once_for_all_tasks(store: GitArtifactStore) -> None:
    """Also when another outcome stands beside it; one that reads otherwise is another."""
    report = {"document_type": "x", "note": ["a"]}
    one = outcome("t1")
    one = replace(one, metadata=one.metadata.model_copy(update={"report": report}))
    [first] = await store.write([one])
    [second] = await store.write([outcome("t2", parents=(first,))])
    other = replace(one, metadata=one.metadata.model_copy(update={"report": report | {"note": []}}))
    [third] = await store.write([replace(other, execution_id="e2")])
    alone, beside, changed = [
        (await read_base("w1", task_request(parents=(commit,)), store)).reports["t1"]
        for commit in (first, second, third)
    ]
    assert alone is beside
    assert (alone["note"], changed["note"]) == (["a"], [])


async def test_a_task_without_a_report_has_none(store: GitArtifactStore) -> None:
    [commit] = await store.write([outcome("t1")])
    base = await read_base("w1", task_request(parents=(commit,)), store)
    assert "t1" not in base.reports


async def test_a_content_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    repository = Repository(create_store(tmp_path / "s.git"))
    store = GitArtifactStore(repository)
    [commit] = await store.write([outcome("t1", {"a.py": b"a", "b.py": b"b"})])
    name = (await store.open_tree(commit)).content_names["b.py"]
    repository.close()
    (tmp_path / "s.git/objects" / name[:2] / name[2:]).unlink()
    request = task_request(parents=(commit,)).model_copy(update={"base_commit": commit})
    base = await read_base("w1", request, store)
    start = await read_start(request, store)
    assert set(base.files) == set(start) == {"a.py", "b.py"}
    assert base.files["a.py"] == b"a"
    with pytest.raises(ArtifactError, match=r"'b\.py'"):
        base.files["b.py"]
    await store.close()


async def test_what_a_commit_has_in_the_metadata_folder_is_not_of_the_tree(tmp_path: Path) -> None:
    """A commit of the first release, or a user's repository, may have some."""
    repository = Repository(create_store(tmp_path / "s.git"))
    store = GitArtifactStore(repository)
    puts = (Put(f"{METADATA_FOLDER}t.json".encode(), FILE_MODE, b"{}"), Put(b"a.py", FILE_MODE, b"a"))
    [commit] = repository.commit([Draft(f"{SNAPSHOTS}/t", (), "t", 1, b"t\n", puts)])
    base = await read_base("w1", task_request(parents=(commit,)), store)
    assert dict(base.files) == {"a.py": b"a"}
    await store.close()


async def test_where_earlier_fixes_went_on_from_is_known(store: GitArtifactStore) -> None:
    [judged] = await store.write([outcome("t1", {"a.py": b"a"})])
    fix = outcome("t1.fix1", {"a.py": b"b"}, parents=(judged,))
    role = {"agent_role": "debugger", "parents": (judged,)}
    [commit] = await store.write([replace(fix, metadata=fix.metadata.model_copy(update=role))])
    assert (await read_base("w1", task_request(parents=(commit,)), store)).mended == (judged,)
    assert (await read_base("w1", task_request(parents=(judged,)), store)).mended == ()
