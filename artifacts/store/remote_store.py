"""A store on another machine, with a local bare repository as the cache."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from artifacts.git import ref_names
from artifacts.git.creation import create_store
from artifacts.git.fast_import import Draft
from artifacts.git.process import GitFailed, run
from artifacts.git.ref_names import Ref
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError, InvalidInput, StoreUnavailable
from contracts.base.refs import ANCHORS, AUDIT, EXCHANGES, FETCHED, HEADS, TAGGED, UNVERIFIED
from contracts.ports.artifacts import RefMove

PROTOCOLS = frozenset({"file", "git", "http", "https", "ssh"})

_PUSH_AT_ONCE = 500
_MOST_RACES = 10


class RemoteRepository(Repository):
    """A store at a URL. Raises StoreUnavailable when it cannot be reached, ArtifactError when it refuses.

    Everything is written to the cache first and then pushed, so that a retry after a lost connection sends
    the same objects. The cache may be deleted at any time.
    """

    def __init__(self, url: str, cache_dir: Path, *, lock_grace_seconds: float = 10.0) -> None:
        self._url, self._protocol = url, check_url(url)
        self.shown_url = _without_password(url)
        folder = hashlib.sha256(url.encode()).hexdigest()[:16]
        super().__init__(create_store(cache_dir / f"{folder}.git"), lock_grace_seconds=lock_grace_seconds)

    def obtain(self, names: Sequence[str]) -> None:
        wanted = list(dict.fromkeys(names))
        found = self.objects.read_all(wanted)
        missing = [name for name, here in zip(wanted, found, strict=True) if here is None]
        if missing:
            # With these refs the server knows next time what need not be sent again.
            self._fetch([f"+{name}:{FETCHED}/{name}" for name in missing], f"object {missing[0]}")

    def share(self, refs: Sequence[Ref]) -> None:
        for start in range(0, len(refs), _PUSH_AT_ONCE):
            self._push(refs[start : start + _PUSH_AT_ONCE])

    def publish(self, moves: Sequence[RefMove]) -> list[Ref]:
        for workflow_id in {move.workflow_id for move in moves if move.task_id == UNVERIFIED}:
            self.refresh(workflow_id)
        refs = super().publish(moves)
        gone = [ref.name for ref in refs if ref.target is None]
        there = self._listed(gone) if gone else frozenset[str]()
        self.share([ref for ref in refs if ref.target is not None or ref.name in there])
        return refs

    def create(self, draft: Draft) -> None:
        [written] = self._written([draft])
        # Nothing under that name is kept here before it is there: what counts is who was first there.
        expected = f"--force-with-lease={draft.ref}:"
        args = ["push", "--quiet", "--porcelain", "--no-verify", "--no-recurse-submodules", expected]
        try:
            self._run_push(args, [f"{written.holder}:{draft.ref}"], draft.ref)
        except ArtifactError:
            if not self._listed([draft.ref]):
                raise
        self._fetch([f"+{draft.ref}:{draft.ref}"], "model exchanges")

    def load_exchange(self, workflow_id: str, task_id: str, key: str) -> bytes | None:
        content = super().load_exchange(workflow_id, task_id, key)
        if content is None:
            # A pattern that matches nothing is no error; a single ref that does not exist would be one.
            folder = ref_names.exchanges(workflow_id, task_id)
            self._fetch([f"+{folder}/*:{folder}/*"], "model exchanges")
            content = super().load_exchange(workflow_id, task_id, key)
        return content

    def add_anchor(self, text: str, created_at: int) -> str:
        args = ["push", "--quiet", "--porcelain", "--no-verify", "--no-recurse-submodules"]
        for left in range(_MOST_RACES, -1, -1):
            self._refresh_anchors()
            name = super().add_anchor(text, created_at)
            try:
                # Not by force: what others have appended meanwhile stays.
                self._run_push(args, [f"{name}:{ANCHORS}"], ANCHORS)
                break
            except ArtifactError:
                if name in dict(self.anchors()):
                    break  # another one of this process has sent it along
                if not left:
                    raise
        return name

    def anchors(self, most: int | None = None) -> list[tuple[str, str]]:
        self._refresh_anchors()
        return super().anchors(most)

    def _refresh_anchors(self) -> None:
        for left in range(_MOST_RACES, -1, -1):
            try:
                self._fetch([f"+{AUDIT}/*:{AUDIT}/*"], "anchors of the audit log")
                return
            except ArtifactError as error:
                # Another one with the same cache fetched them at the same moment.
                if not left or "cannot lock ref" not in str(error):
                    raise

    def list_exchanges(self, workflow_id: str) -> list[tuple[str, str, bytes]]:
        folder = f"{EXCHANGES}/{ref_names.identifier('workflow_id', workflow_id)}"
        self._fetch([f"+{folder}/*:{folder}/*"], "model exchanges")
        return super().list_exchanges(workflow_id)

    def refresh(self, workflow_id: str) -> None:
        folder = f"{HEADS}/{ref_names.identifier('workflow_id', workflow_id)}"
        self._fetch([f"+{folder}/*:{folder}/*"], f"workflow {workflow_id}")

    def refresh_tags(self) -> None:
        self._fetch([f"+{TAGGED}/*:{TAGGED}/*"], "tags")

    def _fetch(self, refspecs: Sequence[str], what: str) -> None:
        args = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
        args += ["--update-shallow", "--stdin", "--", self._url]

        def write() -> None:
            with self.guard.writing() as held:
                stdin = "".join(f"{refspec}\n" for refspec in refspecs).encode()
                run(args, git_dir=self.git_dir, stdin=stdin, protocol=self._protocol, inherit=(held,))

        try:
            self.guard.persist(write)
        except GitFailed as error:
            self._check_reachable()
            raise ArtifactError(f"{self.shown_url} does not hand out {what}: {self._told(error)}") from None

    def _push(self, refs: Sequence[Ref]) -> None:
        args = [
            "push",
            "--quiet",
            "--porcelain",
            "--atomic",
            "--force",
            "--no-verify",
            "--no-recurse-submodules",
        ]
        refspecs = [f"{ref.target or ''}:{ref.name}" for ref in refs]
        refspecs += sorted({f"{ref.keep}/*:{ref.keep}/*" for ref in refs if ref.keep})
        self._run_push(args, refspecs, refs[0].name)

    def _run_push(self, args: Sequence[str], refspecs: Sequence[str], name: str) -> None:
        try:
            run([*args, "--", self._url, *refspecs], git_dir=self.git_dir, protocol=self._protocol)
        except GitFailed as error:
            told = self._told(error)
            if any(line.startswith(b"!") for line in error.stdout.splitlines()):
                raise ArtifactError(f"{self.shown_url} refuses {name}: {told}") from None
            raise StoreUnavailable(f"artifact store {self.shown_url} cannot be reached: {told}") from None

    def _check_reachable(self) -> None:
        self._listed(["HEAD"])

    def _listed(self, names: Sequence[str]) -> frozenset[str]:
        """Those of these refs that exist there. Raises StoreUnavailable."""
        args = ["ls-remote", "--quiet", "--", self._url, *names]
        try:
            out = run(args, git_dir=self.git_dir, protocol=self._protocol)
            return frozenset(line.split("\t")[1] for line in out.decode().splitlines())
        except GitFailed as error:
            told = self._told(error)
            raise StoreUnavailable(f"artifact store {self.shown_url} cannot be reached: {told}") from None

    def _told(self, error: GitFailed) -> str:
        said = error.stdout.decode("utf-8", "replace").strip()
        secret = urlsplit(self._url).netloc.rpartition("@")[0]
        told = f"{error} {said}".strip()
        return told.replace(f"{secret}@", "") if secret else told


def check_url(url: str) -> str:
    """Return the protocol of a URL. Raises InvalidInput for one that git could misread."""
    parts = urlsplit(url)
    if parts.scheme not in PROTOCOLS:
        known = ", ".join(f"{name}://" for name in sorted(PROTOCOLS))
        raise InvalidInput(f"artifact store {_without_password(url)!r}: use a path or one of {known}")
    host = parts.hostname or ""
    if (parts.scheme != "file" and not host) or host.startswith("-") or re.search(r"[\x00-\x20\x7f]", url):
        raise InvalidInput(f"artifact store {_without_password(url)!r}: must name a host, without spaces")
    return parts.scheme


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
