"""The Workspace port, by every backend: Git works inside, and knows nothing of the outside."""

from __future__ import annotations

from artifacts.git.fast_import import FILE_MODE, Draft, Drop, Put
from contracts.base.refs import SNAPSHOTS
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import Workspace
from tests.workspace.conftest import Opener, shell


async def test_head_is_at_the_base(opener: Opener, workspace: Workspace) -> None:
    told = await shell(workspace, 1, "git rev-parse HEAD; git log --format=%s; git status --porcelain")
    assert told.stdout.decode().split() == [opener.project.commit, "second", "first"]


async def test_tags_of_the_history_are_there_and_no_others(workspace: Workspace) -> None:
    told = await shell(workspace, 1, "git tag; git cat-file -t v1.0; git cat-file -t light")
    assert told.stdout.split() == [b"light", b"v1.0", b"tag", b"commit"]
    described = await shell(workspace, 2, "git describe; git describe --tags --match light")
    assert [line[:6] for line in described.stdout.splitlines()] == [b"v1.0-1", b"light-"]


async def test_there_is_no_remote_no_hook_and_nothing_of_the_store(
    opener: Opener, workspace: Workspace
) -> None:
    look = "git remote; ls .git/hooks 2>/dev/null || true; git for-each-ref refs/heads refs/stash"
    assert (await shell(workspace, 1, look)).stdout == b""
    inside = (await shell(workspace, 2, "git cat-file --batch-check --batch-all-objects")).stdout
    reachable = (await shell(workspace, 3, "git rev-list --objects --all HEAD | cut -c1-40 | sort -u")).stdout
    assert {line[:40] for line in inside.splitlines()} == set(reachable.splitlines())
    assert b"alternates" not in (await shell(workspace, 4, "find .git")).stdout


async def test_changes_are_seen_and_can_be_committed(opener: Opener, workspace: Workspace) -> None:
    await shell(workspace, 1, "echo three >> a.txt; echo new > new.txt; echo no > no.log")
    told = await shell(workspace, 2, "git status --porcelain; git diff --shortstat")
    assert told.stdout.splitlines() == [b" M a.txt", b"?? new.txt", b" 1 file changed, 1 insertion(+)"]
    await shell(workspace, 3, "git add -A && git commit -qm work && git tag mine && git gc -q")
    told = await shell(workspace, 4, "git log --format=%s; git status --porcelain; git stash list")
    assert told.stdout.split() == [b"work", b"second", b"first"]
    # A commit inside is the agent's own affair; the tree counts, and Git's own folder is no part of it.
    changed = opener.project.changed(await workspace.snapshot())
    assert changed.keys() == {b"a.txt", b"new.txt", b"no.log"}


async def test_content_changed_to_the_same_size_is_seen(workspace: Workspace) -> None:
    await shell(workspace, 1, "printf 'ONE\\ntwo\\n' > a.txt")
    assert (await shell(workspace, 2, "git status --porcelain")).stdout == b" M a.txt\n"


async def test_a_commit_without_history_is_fine(opener: Opener) -> None:
    (first,) = opener.project.store.objects.commit(opener.project.commit).parents
    async with opener.open(base=TreeBase(first)) as workspace:
        told = await shell(workspace, 1, "git describe; git status --porcelain; ls")
        assert told.stdout.split() == [b"v1.0", b"a.txt"]
    # The later commit's tree over the first commit.
    async with opener.open(base=TreeBase(first, opener.project.tree)) as workspace:
        told = await shell(workspace, 1, "git status --porcelain a.txt run.sh")
        assert told.stdout.splitlines() == [b" M a.txt", b"?? run.sh"]


async def test_a_commit_made_from_one_that_is_kept_has_its_whole_history(opener: Opener) -> None:
    store = opener.project.store
    changes = (Put(b"a.txt", FILE_MODE, b"three\n"), Drop(b"empty"))
    draft = Draft(f"{SNAPSHOTS}/third", (opener.project.commit,), "t", 1_700_000_000, b"third\n", changes)
    [commit] = store.commit([draft])
    for base in (opener.project.base, TreeBase(commit)):
        async with opener.open(base=base) as workspace:
            told = await shell(workspace, 1, "git rev-parse HEAD; git status --porcelain; git fsck --strict")
            assert told.stdout.decode().split() == [base.commit]
            told = await shell(
                workspace, 2, "git log --format=%s; git describe; git show HEAD~1:a.txt; cat a.txt"
            )
    assert told.stdout.split() == [
        b"third",
        b"second",
        b"first",
        b"v1.0-2-g" + commit[:7].encode(),
        b"one",
        b"two",
        b"three",
    ]
