"""Reports come from the workflow's own metadata."""

from __future__ import annotations

from multi_agent.facade.outcome import read_outcome
from tests.artifacts.builders import outcome


def test_metadata_of_another_workflow_is_no_report_of_this_one() -> None:
    """It may lie in the tree of a repository that took a result of the first release."""
    metadata = {
        name: outcome("t1", workflow_id=name).metadata.model_copy(update={"report": {"of": name}})
        for name in ("w1", "w0")
    }
    reports = [
        read_outcome("w1", "f" * 40, {}, {"t1": one.model_dump_json().encode()}, ["t1", "t2"]).reports
        for one in metadata.values()
    ]
    assert reports == [{"t1": {"of": "w1"}}, {}]
