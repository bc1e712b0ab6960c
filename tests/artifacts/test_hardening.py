"""No hook, filter or configuration of anybody runs, and the same work gives the same commit anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from artifacts import GitArtifactStore, create_store, open_store
from contracts.ports.artifacts import RefMove
from tests.artifacts.builders import NOW, git, outcome

_HOOKS = """
pre-receive update post-receive post-update reference-transaction pre-push post-checkout
post-commit pre-auto-gc proc-receive push-to-checkout fsmonitor-watchman post-merge
"""


def _hook(folder: Path, marker: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in _HOOKS.split():
        hook = folder / name
        hook.write_text(f"#!/bin/sh\necho {name} >> '{marker}'\n")
        hook.chmod(0o755)


async def test_planted_hooks_never_run(store: GitArtifactStore, bare: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    _hook(bare / "hooks", marker)
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q")
    git(source, "commit", "-q", "--allow-empty", "-m", "x")
    _hook(source / ".git" / "hooks", marker)
    git(source, "config", "core.fsmonitor", str(source / ".git" / "hooks" / "fsmonitor-watchman"))
    git(source, "config", "uploadpack.packObjectsHook", str(source / ".git" / "hooks" / "update"))
    base = await store.import_base(source)
    [sha] = await store.write([outcome(parents=(base,))])
    await store.publish([RefMove("w1", "t1", sha)])
    await store.save_exchange("w1", "t1", "k", b"x")
    await store.history("w1")
    await store.verify()
    await store.checkout("ai/generated/w1/t1", tmp_path / "out")
    await store.prune_pending(0)
    assert not marker.exists()


async def test_attributes_of_a_tree_are_bytes_like_any(
    local: GitArtifactStore, bare: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    git(bare, "config", "filter.x.smudge", f"touch '{marker}'; cat")
    git(bare, "config", "filter.x.clean", f"touch '{marker}'; cat")
    files: dict[str, bytes | None] = {
        ".gitattributes": b"* filter=x text eol=crlf ident working-tree-encoding=UTF-16\n",
        ".gitignore": b"*\n",
        ".gitconfig": b"[core]\n\tpager = touch /tmp/x\n",
        "a.txt": b"one\ntwo\r\n$Id$\n",
    }
    [sha] = await local.write([outcome(files=files)])
    tree = await local.read_tree(sha)
    assert {path: tree[path] for path in files} == files
    assert not marker.exists()


_ELSEWHERE = """
import asyncio, sys
from pathlib import Path
from artifacts import create_store, open_store
from tests.artifacts.builders import NOW, outcome

async def main():
    store = open_store(str(create_store(Path(sys.argv[1]))), Path(sys.argv[1]))
    one, two = await store.write([outcome("t1"), outcome("t2")])
    [three] = await store.write([outcome("t3", {"a": b"1"}, (one, two))])
    print(await store.merge([three, one], subject="m", created_at=NOW), three)
    print(await store.merge([one, two], subject="m", created_at=NOW))
    await store.close()

asyncio.run(main())
"""


def test_the_same_work_gives_the_same_commits_under_any_environment(tmp_path: Path) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(
        "[user]\n\tname = x\n[core]\n\tautocrlf = true\n[commit]\n\tgpgSign = true\n[alias]\n\tlog = x\n"
    )
    hostile = {
        "GIT_AUTHOR_NAME": "x",
        "GIT_COMMITTER_DATE": "2001-01-01T00:00:00",
        "GIT_DIR": str(tmp_path / "elsewhere"),
        "GIT_INDEX_FILE": str(tmp_path / "index"),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bare",
        "GIT_CONFIG_VALUE_0": "nonsense",
        "GIT_OBJECT_DIRECTORY": str(tmp_path / "objects"),
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "de_DE.UTF-8",
    }
    said = set()
    for name, extra in (("one", {}), ("two", hostile)):
        args = [sys.executable, "-c", _ELSEWHERE, str(tmp_path / f"{name}.git")]
        done = subprocess.run(args, env=os.environ | extra, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1


async def test_the_commit_is_this_one(tmp_path: Path) -> None:
    """Guards the format: a change here makes every retry of work under way a second commit."""
    store = open_store(str(create_store(tmp_path / "s.git")), tmp_path)
    assert await store.merge([], subject="m", created_at=NOW) == "0e7347bcef838c4f69db363434b73f02664a52ad"
    await store.close()


def test_without_git_the_message_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from artifacts import create_store\n"
        "from contracts.base.errors import NotConfigured\n"
        "try:\n    create_store(Path(sys.argv[1]))\nexcept NotConfigured as error:\n    print(error)"
    )
    args = [sys.executable, "-c", code, str(tmp_path / "s")]
    done = subprocess.run(args, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=True)
    assert "install it" in done.stdout
