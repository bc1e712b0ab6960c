"""Drafts the commit of an outcome: checks paths against the whole resulting tree, adds provenance."""

from __future__ import annotations

import json
from collections.abc import Sequence

from artifacts.git import ref_names
from artifacts.git.fast_import import FILE_MODE, SUBMODULE_MODE, SYMLINK_MODE, Draft, Drop, Link, Put
from artifacts.git.objects import ObjectReader, TreeEntry, blob_name
from artifacts.merge.merging import MergedTree, Merger
from artifacts.merge.tree_check import check_fit
from artifacts.store.commit_forms import CommitForms
from contracts.base.errors import InvalidInput, UnsafePath
from contracts.base.paths import check_new_path, check_path, check_tree
from contracts.base.refs import DATA_FOLDER, METADATA_FOLDER, is_reserved
from contracts.documents.reports import ArtifactMetadata
from contracts.ports.artifacts import PendingCommit

_PROGRAM = b"100755"
_NEW = TreeEntry(FILE_MODE, "")


class Drafter:
    """Turns outcomes and merges into drafts.

    Raises UnsafePath, InvalidInput, MergeConflict, ArtifactError.
    """

    def __init__(self, reader: ObjectReader, merger: Merger) -> None:
        self._reader = reader
        self._merger = merger
        self._forms = CommitForms(reader)

    def outcome(self, commit: PendingCommit) -> Draft:
        """Draft the outcome of a task under its pending ref."""
        ref = ref_names.pending(commit)
        _check_metadata(commit)
        _check_files(commit)
        merged = self._merger.merge(commit.parents)
        edits = [self._edit(merged, path, content) for path, content in commit.files.items()]
        overlay = merged.overlay | {
            edit.path: None if isinstance(edit, Drop) else _NEW for edit in edits if edit is not None
        }
        tree = self._reader.commit(merged.parents[0]).tree if merged.parents else None
        check_fit(self._reader, tree, overlay)
        record = _metadata_bytes(commit.metadata)
        return Draft(
            ref=ref,
            parents=merged.parents,
            role=commit.metadata.agent_role,
            when=ref_names.timestamp(commit.created_at),
            message=ref_names.task_message(commit, blob_name(record), self._forms.of(merged.parents)),
            changes=_changes(merged, [edit for edit in edits if edit is not None]),
            record=record,
        )

    def merge(self, parents: Sequence[str], subject: str, created_at: int) -> Draft:
        """Draft a commit that holds what all parents hold; empty without parents."""
        merged = self._merger.merge(parents)
        return Draft(
            ref=ref_names.merge_ref(tuple(parents), subject, created_at),
            parents=merged.parents,
            role="merge",
            when=ref_names.timestamp(created_at),
            message=f"{ref_names.subject_line(subject)}\n".encode(),
            changes=_changes(merged, []),
        )

    def _edit(self, merged: MergedTree, path: str, content: bytes | None) -> Put | Drop | None:
        """The change of a path; None when a file to delete does not exist."""
        raw = path.encode()
        there = self._entry(merged, raw)
        if there is not None and there.mode in {SYMLINK_MODE, SUBMODULE_MODE}:
            raise UnsafePath(
                f"path {path!r}: is a symbolic link or a submodule of the repository; leave it alone"
            )
        if there is None and content is not None:
            check_new_path(path)
        if content is None:
            if there is not None and there.is_tree:
                raise UnsafePath(f"path {path!r}: is a folder; name the files to delete")
            return None if there is None else Drop(raw)
        mode = _PROGRAM if there is not None and there.mode == _PROGRAM else FILE_MODE
        return Put(raw, mode, content)

    def _entry(self, merged: MergedTree, path: bytes) -> TreeEntry | None:
        if path in merged.overlay:
            return merged.overlay[path]
        if not merged.parents:
            return None
        return self._reader.lookup(self._reader.commit(merged.parents[0]).tree, path)


def exchange(ref: str, content: bytes) -> Draft:
    """Draft the commit that keeps a model exchange; its name depends on the content alone."""
    return Draft(ref, (), "exchange", 0, b"model exchange\n", (Put(b"exchange", FILE_MODE, content),))


def _check_files(commit: PendingCommit) -> None:
    for path in commit.files:
        check_path(path)
        if is_reserved(path):
            raise UnsafePath(f"path {path!r}: {METADATA_FOLDER} and {DATA_FOLDER}/ are the system's own")
    check_tree(path for path, content in commit.files.items() if content is not None)


def _check_metadata(commit: PendingCommit) -> None:
    for field in ("workflow_id", "task_id"):
        told, expected = getattr(commit.metadata, field), getattr(commit, field)
        if told != expected:
            raise InvalidInput(
                f"metadata.{field} {told!r}: the commit is for {expected!r}; both must be equal"
            )


def _metadata_bytes(metadata: ArtifactMetadata) -> bytes:
    # Left out where there is none, as before there could be any: equal work stays an equal commit.
    none = {name for name in ("guidance", "skills") if not getattr(metadata, name)}
    document = metadata.model_dump(mode="json", exclude=none)
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode(
        "utf-8", "replace"
    )


def _changes(merged: MergedTree, edits: Sequence[Put | Drop]) -> tuple[Put | Link | Drop, ...]:
    own = {edit.path for edit in edits}
    inherited = [
        Drop(path) if entry is None else Link(path, _canonical(entry.mode), entry.oid)
        for path, entry in sorted(merged.overlay.items())
        if path not in own
    ]
    ordered = sorted([*inherited, *edits], key=lambda change: (not isinstance(change, Drop), change.path))
    return tuple(ordered)


def _canonical(mode: bytes) -> bytes:
    # fast-import refuses the group-writable mode of very old histories.
    return FILE_MODE if mode == b"100664" else mode
