"""The metadata of a workflow's tasks. Each outcome names the object that holds its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from artifacts.git import ref_names
from artifacts.git.objects import Commit, ObjectReader
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError
from contracts.base.refs import TASK_RECORDS

_SUFFIX = b".json"


def read_records(repository: Repository, workflow_id: str, commit: str, max_bytes: int) -> dict[str, bytes]:
    """Read the metadata of all outcomes of a workflow that `commit` contains, by task; see CommitStore."""
    repository.ensure([commit])
    reader = repository.objects
    named = dict(_named(reader, workflow_id, commit))
    repository.obtain(list(named.values()))
    found = dict(_in_tree(reader, commit)) | named
    # As the files of the first release were sorted.
    tasks = sorted(found, key=lambda task_id: f"{task_id}.json")
    records: dict[str, bytes] = {}
    for task_id, blob in zip(
        tasks, reader.blobs([found[task] for task in tasks], max_bytes=max_bytes), strict=True
    ):
        if blob is None:
            raise ArtifactError(f"the metadata of task {task_id} is missing (object {found[task_id]})")
        records[task_id] = blob.content
    return records


def _named(reader: ObjectReader, workflow_id: str, tip: str) -> Iterator[tuple[str, str]]:
    """(task, object) from the trailers of the workflow's commits, no further down than they reach."""
    seen = {tip}
    waiting = deque([tip])
    while waiting:
        commit = reader.commit(waiting.popleft())
        trailers = commit.trailers
        if not _belongs(commit, trailers.get(ref_names.WORKFLOW), workflow_id):
            continue
        if ref_names.RECORD in trailers:
            name = ref_names.commit_name(trailers[ref_names.RECORD])
            yield trailers[ref_names.TASK], name
        fresh = [parent for parent in commit.parents if parent not in seen]
        seen.update(fresh)
        waiting.extend(fresh)


def _belongs(commit: Commit, told: str | None, workflow_id: str) -> bool:
    """Whether a commit is an outcome of the workflow, or a merge of outcomes."""
    return told == workflow_id or (told is None and commit.role == "merge")


def _in_tree(reader: ObjectReader, commit: str) -> Iterator[tuple[str, str]]:
    """(task, object) from the tree, where the first release wrote them."""
    folder = reader.lookup(reader.commit(commit).tree, TASK_RECORDS.rstrip("/").encode())
    if folder is None or not folder.is_tree:
        return
    for name, entry in reader.tree(folder.oid).items():
        if name.endswith(_SUFFIX) and not entry.is_tree:
            yield name.removesuffix(_SUFFIX).decode("utf-8", "replace"), entry.oid
