"""The operations of a store on one local bare repository. Blocking; safe to call from several threads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from artifacts.git import ref_names
from artifacts.git.cat_file import GitObject
from artifacts.git.creation import check_repository
from artifacts.git.fast_import import Draft, Importer, Written
from artifacts.git.objects import FILE_MODES, ObjectReader
from artifacts.git.process import GitFailed, run
from artifacts.git.ref_names import Ref
from artifacts.git.ref_writer import NOTHING, RefChange, RefWriter
from artifacts.git.write_guard import WriteGuard
from artifacts.merge.history_graph import History
from artifacts.merge.merging import Merger
from artifacts.store import drafting
from contracts.base.errors import ArtifactError, UnsafePath
from contracts.base.paths import check_path
from contracts.base.refs import ANCHORS, EXCHANGES, RESERVED_TASKS, RESULT, SHORT_LIVED, UNVERIFIED
from contracts.ports.artifacts import PendingCommit, RefMove

# A commit with more parents is slow to show, so they are merged group by group.
MAX_PARENTS = 256


class Repository:
    """A bare repository as an artifact store. Raises ArtifactError for what Git refuses or does not hold.

    lock_grace_seconds: how long a lock file must be unchanged before it can count as stale.
    """

    def __init__(self, git_dir: Path, *, lock_grace_seconds: float = 10.0) -> None:
        self.git_dir = check_repository(git_dir)
        self.objects = ObjectReader(self.git_dir)
        self.guard = WriteGuard(self.git_dir, lock_grace_seconds)
        self._importer = Importer(self.git_dir)
        self._refs = RefWriter(self.git_dir, self.guard)
        self._drafter = drafting.Drafter(self.objects, Merger(self.git_dir, self.objects))

    def draft(self, commit: PendingCommit) -> Draft:
        """Check the outcome of a task and prepare it for `commit`."""
        self.ensure(commit.parents)
        if len(commit.parents) > MAX_PARENTS:
            merged = self.merge(commit.parents, f"Merge for {commit.task_id}", commit.created_at)
            commit = replace(commit, parents=(merged,))
        return self._drafter.outcome(commit)

    def commit(self, drafts: Sequence[Draft]) -> list[str]:
        """Write drafts in one go; durable and readable on return, here and where `share` copies them."""
        if not drafts:
            return []
        written = self._written(drafts)
        refs = {draft.ref: one.holder for draft, one in zip(drafts, written, strict=True)}
        # The same work has the same ref, so its current value does not matter.
        self.guard.persist(lambda: self._refs.update([RefChange(*ref) for ref in refs.items()]))
        self.share([Ref(*ref) for ref in refs.items()])
        return [one.commit for one in written]

    def create(self, draft: Draft) -> None:
        """Write a draft whose ref has no value yet; one that has a value keeps it."""
        [written] = self._written([draft])
        change = RefChange(draft.ref, written.holder, NOTHING)

        def write() -> None:
            try:
                self._refs.update([change])
            except GitFailed:
                if self.objects.read(draft.ref) is None:
                    raise

        self.guard.persist(write)

    def _written(self, drafts: Sequence[Draft]) -> list[Written]:
        written = self.guard.persist(lambda: self._importer.write(drafts))
        if self._unreadable(written):
            written = self.guard.persist(lambda: self._importer.write_packed(drafts))
            if damaged := self._unreadable(written):
                raise ArtifactError(f"commits cannot be read back after writing: {', '.join(damaged)}")
        return written

    def merge(self, parents: Sequence[str], subject: str, created_at: int) -> str:
        """See CommitStore.merge."""
        tips = list(dict.fromkeys(parents))
        while True:
            parts = self.draft_merges(tips, subject, created_at)
            written = iter(self.commit([part for part in parts if isinstance(part, Draft)]))
            tips = [next(written) if isinstance(part, Draft) else part for part in parts]
            if len(tips) == 1:
                return tips[0]

    def draft_merges(self, tips: Sequence[str], subject: str, created_at: int) -> list[str | Draft]:
        """Merge each MAX_PARENTS tips into one: a commit that exists already, else a draft.

        Once the drafts are written, these are the tips that remain to be merged.
        """
        self.ensure(tips)
        groups = [tips[start : start + MAX_PARENTS] for start in range(0, max(len(tips), 1), MAX_PARENTS)]
        return [self._draft_merge(group, subject, created_at) for group in groups]

    def read_tree(self, commit: str, max_bytes: int) -> dict[str, bytes]:
        """Read regular files whose names contracts.base.paths allows; links and submodules are left out."""
        self.ensure([commit])
        walk = self.objects.walk(self.objects.commit(commit).tree)
        entries = [
            (path, entry.oid) for raw, entry in walk if entry.mode in FILE_MODES and (path := safe_path(raw))
        ]
        files: dict[str, bytes] = {}
        found = self.objects.blobs([oid for _, oid in entries], max_bytes=max_bytes)
        for (path, oid), blob in zip(entries, found, strict=True):
            if blob is None:
                raise ArtifactError(
                    f"file {path!r} of commit {commit} is missing in the store (object {oid})"
                )
            files[path] = blob.content
        return files

    def publish(self, moves: Sequence[RefMove]) -> list[Ref]:
        """Move branches, tags and metadata refs to accepted outcomes, all or none; return those that stand.

        An old value that the new one does not contain is kept under SUPERSEDED: Git may be newer than a
        database that was restored from a backup.
        """
        self.ensure([move.commit for move in moves if move.commit is not None])
        refs = self._published(moves)
        self.obtain([ref.target for ref in refs if ref.target is not None])
        # Each try reads the old values again, since another program may have moved one meanwhile.
        with self.guard.moving():
            return self.guard.persist(lambda: self._move(refs))

    def add_anchor(self, text: str, created_at: int) -> str:
        """See AnchorStore."""
        message = f"Audit anchor\n\n{text}\n".encode()

        def write() -> str:
            tip = self.objects.read(ANCHORS)
            parents = (tip.oid,) if tip else ()
            draft = Draft(ANCHORS, parents, "audit", ref_names.timestamp(created_at), message, ())
            [written] = self._written([draft])
            self._refs.update([RefChange(ANCHORS, written.holder, parents[0] if parents else NOTHING)])
            return written.commit

        # Each try reads the tip again, since another program may have appended meanwhile.
        with self.guard.moving():
            return self.guard.persist(write)

    def anchors(self, most: int | None = None) -> list[tuple[str, str]]:
        """See AnchorStore."""
        found: list[tuple[str, str]] = []
        tip = self.objects.read(ANCHORS)
        names: tuple[str, ...] = (tip.oid,) if tip else ()
        while names and (most is None or len(found) < most):
            commit = self.objects.commit(names[0])
            found.append((commit.oid, commit.message.partition("\n\n")[2].rstrip("\n")))
            names = commit.parents
        return found[::-1]

    def draft_exchange(self, workflow_id: str, task_id: str, key: str, content: bytes) -> Draft:
        """Draft the commit that keeps an exchange, for `commit` to write."""
        return drafting.exchange(ref_names.exchange(workflow_id, task_id, key), content)

    def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None:
        """Load the content saved last under the key, None when there is none."""
        found = self.objects.read(f"{ref_names.exchange(workflow_id, task_id, key)}:exchange")
        return found.content if found else None

    def list_exchanges(self, workflow_id: str) -> list[tuple[str, str, bytes]]:
        """List (task id, digest of the key, content) of the exchanges of a workflow."""
        folder = f"{EXCHANGES}/{ref_names.identifier('workflow_id', workflow_id)}/"
        query = ["for-each-ref", "--format=%(objectname) %(refname)", folder]
        rows = [line.split(" ", 1) for line in run(query, git_dir=self.git_dir).decode().splitlines()]
        found = self.objects.read_all([f"{oid}:exchange" for oid, _ in rows])
        places = (ref.removeprefix(folder).partition("/") for _, ref in rows)
        return [
            (task_id, digest, one.content)
            for (task_id, _, digest), one in zip(places, found, strict=True)
            if one
        ]

    def prune_pending(self, older_than_seconds: float) -> int:
        """Delete refs of older outcomes, merges and snapshots (by commit time); return how many.

        Accepted outcomes stay: their branches hold them.
        """
        limit = time.time() - older_than_seconds
        query = ["for-each-ref", "--format=%(committerdate:unix) %(objectname) %(refname)"]
        rows = [
            line.split() for line in run([*query, *SHORT_LIVED], git_dir=self.git_dir).decode().splitlines()
        ]
        drops = [(ref, oid) for when, oid, ref in rows if int(when) < limit]
        self.guard.persist(lambda: self._refs.delete(drops))
        self.guard.persist(self._pack_refs)
        return len(drops)

    def ensure(self, commits: Sequence[str]) -> None:
        """Make sure that these commits are here. Raises ArtifactError when one is missing."""
        names = [ref_names.commit_name(commit) for commit in commits]
        self.obtain(names)
        for name in names:
            self.objects.commit(name)

    def obtain(self, names: Sequence[str]) -> None:
        """Get those of these objects that only others have."""

    def refresh(self, workflow_id: str) -> None:
        """Get what others have published of a workflow."""

    def refresh_tags(self) -> None:
        """Get the tags of users' repositories that others have imported."""

    def share(self, refs: Sequence[Ref]) -> None:
        """Copy refs and their objects to where other machines find them."""

    def rest(self) -> None:
        """End the writing processes; the next write starts others."""
        self._importer.close()
        self._refs.close()

    def close(self) -> None:
        """End all processes."""
        self.rest()
        self.objects.close()

    def _draft_merge(self, parents: Sequence[str], subject: str, created_at: int) -> str | Draft:
        if len(parents) == 1:
            return parents[0]
        draft = self._drafter.merge(parents, subject, created_at)
        return draft.parents[0] if len(draft.parents) == 1 else draft

    def _unreadable(self, written: Sequence[Written]) -> list[str]:
        """The commits that cannot be read together with their root trees."""
        shas = list(dict.fromkeys(name for one in written for name in one))
        try:
            commits = [found and self.objects.remember_commit(found) for found in self.objects.read_all(shas)]
            trees = self.objects.read_all([commit.tree for commit in commits if commit])
            missing = [sha for sha, commit in zip(shas, commits, strict=True) if commit is None]
            return missing or [sha for sha, tree in zip(shas, trees, strict=True) if tree is None]
        except ArtifactError:
            return list(shas)

    def _move(self, refs: Sequence[Ref]) -> list[Ref]:
        held_back = {ref.unless for ref in refs if ref.unless and self.objects.read(ref.unless)}
        refs = [ref for ref in refs if ref.unless not in held_back]
        now = self.objects.read_all([ref.name for ref in refs])
        moved = [
            (ref, there)
            for ref, there in zip(refs, now, strict=True)
            if (there.oid if there else None) != ref.target
        ]
        kept = {
            f"{ref.keep}/{there.oid}": there.oid
            for ref, there in moved
            if ref.keep and there and self._loses(ref.target, there)
        }
        changes = [RefChange(name, old) for name, old in kept.items()]
        for ref, there in moved:
            changes.append(RefChange(ref.name, ref.target or NOTHING, there.oid if there else NOTHING))
        self._refs.update(changes)
        return refs

    def _loses(self, new: str | None, old: GitObject) -> bool:
        """Whether `new` does not contain `old`."""
        if new is None or old.kind != b"commit":
            return True
        return old.oid in History(self.git_dir, self.objects).independent([old.oid, new])

    def _published(self, moves: Sequence[RefMove]) -> list[Ref]:
        """The refs of accepted outcomes; of two moves of one task the later one counts."""
        refs: dict[str, Ref] = {}
        for move in moves:
            wanted = {ref_names.branch(move.workflow_id, move.task_id): move.commit}
            if move.commit is not None and move.task_id not in RESERVED_TASKS:
                wanted[ref_names.tag(move.workflow_id, move.task_id)] = move.commit
                if record := self.objects.commit(move.commit).trailers.get(ref_names.RECORD):
                    wanted[ref_names.meta(move.workflow_id, move.task_id)] = record
            offer = move.task_id == UNVERIFIED
            keep = "" if offer else ref_names.superseded(move.workflow_id, move.task_id)
            unless = ref_names.branch(move.workflow_id, RESULT) if offer and move.commit else ""
            refs.update({name: Ref(name, target, keep, unless) for name, target in wanted.items()})
        return list(refs.values())

    def _pack_refs(self) -> None:
        with self.guard.writing() as held:
            run(["pack-refs", "--all"], git_dir=self.git_dir, inherit=(held,))


@lru_cache(maxsize=65_536)
def safe_path(path: bytes) -> str | None:
    """A path of a tree as text; None when contracts.base.paths refuses it."""
    try:
        return check_path(path.decode("utf-8"))
    except (UnicodeDecodeError, UnsafePath):
        return None
