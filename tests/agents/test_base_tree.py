"""What a task starts from."""

from __future__ import annotations

from dataclasses import replace

from agents.sdk.base_tree import read_base
from artifacts import GitArtifactStore
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
