"""What a store holds, for checks of the whole system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from artifacts.git import ref_names
from artifacts.git.gitpython import opened
from artifacts.git.process import run
from artifacts.store.repository import Repository
from contracts.base.refs import EXCHANGES, HEADS, META, RESERVED_TASKS


def accepted(repository: Repository) -> dict[tuple[str, str], str]:
    """The commit of each accepted outcome, by workflow and task; merged ones are task RESULT."""
    return _refs_of_tasks(repository, HEADS)


def misplaced(repository: Repository) -> dict[tuple[str, str], str]:
    """What is wrong with the metadata refs of accepted outcomes, by workflow and task.

    An outcome of the first release names no metadata, and has no such ref.
    """
    held, heads = _refs_of_tasks(repository, META), accepted(repository)
    wrong = {}
    for key, commit in heads.items():
        named = repository.objects.commit(commit).trailers.get(ref_names.RECORD)
        if key[1] not in RESERVED_TASKS and named != held.get(key):
            wrong[key] = f"its metadata is at {held.get(key, 'nothing')}, its commit names {named or 'none'}"
    return wrong


def _refs_of_tasks(repository: Repository, folder: str) -> dict[tuple[str, str], str]:
    out = run(["for-each-ref", "--format=%(objectname) %(refname)", folder], git_dir=repository.git_dir)
    rows = (line.split(" ", 1) for line in out.decode().splitlines())
    parts = ((ref.removeprefix(f"{folder}/").split("/"), oid) for oid, ref in rows)
    return {(path[0], path[1]): oid for path, oid in parts if len(path) == 2}


def exchanges(repository: Repository) -> Iterator[tuple[str, str, bytes]]:
    """(workflow, task, content) of all that is kept of exchanges with models, of steps and uses as well."""
    folder = EXCHANGES
    out = run(["for-each-ref", "--format=%(refname)", folder], git_dir=repository.git_dir).decode()
    for ref in out.split():
        workflow_id, task_id, _ = ref.removeprefix(f"{folder}/").split("/", 2)
        found = repository.objects.read(f"{ref}:exchange")
        if found is not None:
            yield workflow_id, task_id, found.content


def lacking(repository: Repository, commit: str, parts: Sequence[str]) -> list[str]:
    """The commits that `parts` contain and `commit` does not. Raises ArtifactError for a missing one."""
    lines = [ref_names.commit_name(part) for part in parts] + [f"^{ref_names.commit_name(commit)}"]
    stdin = "".join(f"{line}\n" for line in lines).encode()
    return run(["rev-list", "--stdin"], git_dir=repository.git_dir, stdin=stdin).decode().split()


def verify(repository: Repository) -> list[str]:
    """Run `git fsck --strict`, which reads every object; one line for each problem, [] without any."""
    with opened(repository.git_dir) as repo:
        args = ["--strict", "--no-dangling", "--no-progress"]
        status, out, err = repo.git.fsck(*args, with_extended_output=True, with_exceptions=False)
    lines = [line for line in f"{out}\n{err}".splitlines() if line.strip()]
    notices = ("notice:", "Checking ")
    problems = [line for line in lines if not line.startswith(notices)]
    return problems or ([f"git fsck ended with status {status}"] if status else [])
