"""The blocking store for scripts."""

from __future__ import annotations

import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

import artifacts
from artifacts import ArtifactStore
from contracts.base.errors import InvalidDocument, InvalidInput, UnsafePath
from contracts.documents.reports import ArtifactMetadata
from tests.artifacts.builders import fsck, git, outcome


def test_commit_artifacts(tmp_path: Path) -> None:
    path = tmp_path / "store.git"
    with ArtifactStore(path) as store:
        one = store.commit_artifacts("w1", "t1", {"a.py": "ü = 1\n", "b": b"\xff"}, {"agent_role": "coder"})
        metadata = outcome("t2").metadata.model_copy(update={"parents": (one,)})
        two = store.commit_artifacts("w1", "t2", {"c": b""}, metadata)
        assert store.commit_artifacts("w1", "t2", {"c": b""}, metadata) == two
        assert store.read_tree(two)["a.py"] == "ü = 1\n".encode()
    assert git(path, "rev-parse", "ai/generated/w1/t1", "workflow_w1_t2").splitlines() == [one, two]
    document = ArtifactMetadata.model_validate_json(git(path, "show", "refs/multi-agent/meta/w1/t1"))
    assert document.artifacts == ("a.py", "b")
    assert git(path, "show", "-s", "--format=%ct", two) == "1700000000"
    assert fsck(path) == []


def test_files_may_be_named_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "x.py").write_text("x = 1\n")
    (tmp_path / "test_report.json").write_text("{}")
    metadata = {"agent_role": "coder"}
    named = [Path("codes/x.py"), Path("test_report.json")]
    with chdir(tmp_path), ArtifactStore() as store:
        near = store.commit_artifacts("w1", "t1", named, metadata)
        assert sorted(store.read_tree(near)) == ["codes/x.py", "test_report.json"]
    with ArtifactStore(tmp_path / ".multi_agent" / "artifacts.git") as store:
        far = store.commit_artifacts("w1", "t2", [tmp_path / path for path in named], metadata)
        assert store.read_tree(far)["codes/x.py"] == b"x = 1\n"
        for wrong, why in (
            ([tmp_path / "absent.py"], "absent.py: No such file"),
            ([tmp_path / "codes"], "codes: Is a directory"),
            ({"a.py": 1}, "holds a int"),
        ):
            with pytest.raises(InvalidInput, match=why):
                store.commit_artifacts("w1", "t3", wrong, metadata)


def test_what_it_refuses(tmp_path: Path) -> None:
    with ArtifactStore(tmp_path / "store.git") as store:
        with pytest.raises(InvalidDocument, match=r"\$\.agent_role"):
            store.commit_artifacts("w1", "t1", {}, {})
        with pytest.raises(InvalidInput, match="metadata is a NoneType"):
            store.commit_artifacts("w1", "t1", {}, None)
        with pytest.raises(InvalidInput, match="is not on this machine"):
            ArtifactStore("ssh://host/store.git")
        with pytest.raises(UnsafePath):
            store.commit_artifacts("w1", "t1", {".git/config": ""}, {"agent_role": "coder"})


def test_public_names() -> None:
    assert artifacts.__all__ == sorted(artifacts.__all__)
    assert all(hasattr(artifacts, name) for name in artifacts.__all__)


_MANY = """
import sys
from artifacts import ArtifactStore
with ArtifactStore(sys.argv[1]) as store:
    for number in range(int(sys.argv[3])):
        store.commit_artifacts("w1", "t1", {f"{sys.argv[2]}.py": f"x = {number}\\n"}, {"agent_role": "coder"})
"""


def test_processes_that_commit_to_one_branch_at_the_same_time_all_succeed(tmp_path: Path) -> None:
    ArtifactStore(tmp_path / "store.git").close()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _MANY, str(tmp_path / "store.git"), f"p{number}", "10"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    told = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [(writer.returncode, text) for writer, text in zip(writers, told, strict=True)] == [(0, "")] * 6
    kept = git(tmp_path / "store.git", "for-each-ref", "--format=%(objecttype)", "refs/superseded").split()
    # Each of the 60 is the branch, or was kept when another took its place.
    assert kept.count("commit") + 1 == 60
    assert fsck(tmp_path / "store.git") == []
