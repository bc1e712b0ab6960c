"""Measures results per second into a Git store that has refs already: ours, and bare `git fast-import`.

A result is three files on a branch of its own, with a tag. Both stores have the same settings (fsync
included), both get the same batches, and each batch is durable before the next one.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from artifacts import create_store, open_store
from benchmarks.notes import WrongResult
from benchmarks.stopwatch import start
from contracts.documents.reports import ArtifactMetadata
from contracts.ports.artifacts import PendingCommit, RefMove

_NOW = 1_700_000_000


async def ours(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure our store: write a batch, then publish it. Job: `results`, `batch`, `refs` (refs before)."""
    path = create_store(folder / "store.git")
    _fill(path, job["refs"])
    store = open_store(str(path), folder / "cache")
    try:
        [base] = await store.write([_outcome("base", ())])
        batches = [[_outcome(name, (base,)) for name in names] for names in _batches(job)]
        began = start()
        for batch in batches:
            commits = await store.write(batch)
            pairs = zip(batch, commits, strict=True)
            await store.publish([RefMove(one.workflow_id, one.task_id, commit) for one, commit in pairs])
        took = time.monotonic() - began
    finally:
        await store.close()
    _check(path, job["results"])
    return {"value": job["results"] / took, "seconds": took}


def fast_import(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure one `git fast-import` for each batch, which writes the branches and tags as well. Same job."""
    path = create_store(folder / "store.git")
    _fill(path, job["refs"])
    _git(path, "fast-import", "--quiet", stdin=b"".join(_commit("base", None)))
    streams = [b"".join(part for name in names for part in _commit(name, "base")) for names in _batches(job)]
    began = start()
    for stream in streams:
        _git(path, "fast-import", "--quiet", "--force", stdin=stream)
    took = time.monotonic() - began
    _check(path, job["results"])
    return {"value": job["results"] / took, "seconds": took}


def _batches(job: dict[str, Any]) -> list[list[str]]:
    names = [f"t{number}" for number in range(job["results"])]
    return [names[first : first + job["batch"]] for first in range(0, len(names), job["batch"])]


def _files(name: str) -> dict[str, bytes]:
    return {f"{name}/{part}.py": f"# {name}\n{part.upper()} = 1\n".encode() * 20 for part in ("a", "b", "c")}


def _outcome(name: str, parents: tuple[str, ...]) -> PendingCommit:
    metadata = ArtifactMetadata(
        workflow_id="w",
        task_id=name,
        correlation_id="w",
        agent_role="coder",
        agent_version="1",
        prompt_hash="a" * 64,
        model_name="none",
        timestamp="2023-11-14T22:13:20Z",
        artifacts=tuple(_files(name)),
        parents=parents,
    )
    return PendingCommit(
        "w", name, 1, f"e-{name}", parents, dict(_files(name)), metadata, f"coder: {name}", _NOW
    )


def _commit(name: str, parent: str | None) -> Iterator[bytes]:
    branch = f"refs/heads/ai/generated/w/{name}"
    yield f"commit {branch}\ncommitter m <m@example.invalid> {_NOW} +0000\n".encode()
    message = f"coder: {name}\n".encode()
    yield b"data %d\n%s\n" % (len(message), message)
    if parent:
        yield f"from refs/heads/ai/generated/w/{parent}^0\n".encode()
    for path, content in {**_files(name), f".multi-agent/tasks/{name}.json": b"{}" * 200}.items():
        yield f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
    if parent:
        yield f"\nreset refs/tags/workflow_w_{name}\nfrom {branch}\n\n".encode()


def _fill(path: Path, refs: int) -> None:
    """Make branches as earlier results leave them, all at one commit."""
    if not refs:
        return
    _git(path, "fast-import", "--quiet", stdin=b"".join(_commit("old", None)))
    old = _git(path, "rev-parse", "refs/heads/ai/generated/w/old").decode().strip()
    names = (f"refs/heads/ai/generated/w{n // 100}/t{n}" for n in range(refs))
    lines = "".join(f"create {name} {old}\n" for name in names)
    # What is not measured need not be durable.
    _git(path, "-c", "core.fsync=none", "update-ref", "--stdin", stdin=lines.encode())


def _check(path: Path, results: int) -> None:
    listed = _git(path, "for-each-ref", "--format=%(objecttype)", "refs/tags/workflow_w_t*").decode().split()
    branches = _git(path, "for-each-ref", "--format=%(objecttype)", "refs/heads/ai/generated/w/t*").split()
    _git(path, "fsck", "--connectivity-only", "--no-dangling")
    if listed != ["commit"] * results or len(branches) != results:
        raise WrongResult(f"{len(branches)} branches and {len(listed)} tags of {results} results")


def _git(path: Path, *words: str, stdin: bytes = b"") -> bytes:
    command: Sequence[str] = ["git", f"--git-dir={path}", *words]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise WrongResult(f"{' '.join(words)}: {done.stderr.decode()[-500:]}")
    return done.stdout
