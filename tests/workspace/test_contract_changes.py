"""The Workspace port, by every backend: what changed comes back, the rest stays the same to the byte."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput, LimitExceeded, UnsafePath
from contracts.ports.trees import TreeBase, TreeFile
from contracts.ports.workspace import Environment, Workspace
from sandbox_runner.environments.owning import give_to_programs
from tests.workspace.conftest import SMALL, Opener, shell
from tests.workspace.repositories import FILES, SUBMODULE

LOOK = """
import hashlib, json, os, stat
found = {}
for here, folders, names in os.walk(b"."):
    if here == b".":
        folders.remove(b".git")
    for name in names + [name for name in folders if os.path.islink(os.path.join(here, name))]:
        path = os.path.join(here, name)
        mode = os.lstat(path).st_mode
        content = os.readlink(path) if stat.S_ISLNK(mode) else open(path, "rb").read()
        kind = "120000" if stat.S_ISLNK(mode) else "100755" if mode & 0o100 else "100644"
        found[os.fsdecode(os.path.relpath(path, b"."))] = [kind, hashlib.sha256(content).hexdigest()]
print(json.dumps(found))
"""


async def test_every_byte_and_mode_is_there(workspace: Workspace) -> None:
    result = await workspace.exec(1, ("python", "-c", LOOK))
    expected = {
        path.decode("utf-8", "surrogateescape"): [mode, hashlib.sha256(content).hexdigest()]
        for path, (mode, content) in FILES.items()
    }
    assert json.loads(result.stdout) == expected


async def test_nothing_changed_is_the_same_tree(opener: Opener, workspace: Workspace) -> None:
    await workspace.exec(1, ("python", "-c", LOOK))
    # Written again, touched, or changed and changed back: none of it is a change.
    await shell(workspace, 2, "cp run.sh /tmp/r; cat /tmp/r > run.sh; touch a.txt; chmod 600 empty; rm link")
    await shell(workspace, 3, "ln -s a.txt link; mv deep /tmp/deep; mkdir nothing; cp -a /tmp/deep deep")
    changes = await workspace.diff()
    assert changes.files == {}
    assert await workspace.snapshot() == opener.project.tree


async def test_only_what_changed_is_in_the_snapshot(opener: Opener, workspace: Workspace) -> None:
    script = """
printf 'one\\r\\n2' > crlf.txt; chmod +x a.txt; rm empty; rm -r deep/er
mkdir -p fresh build; echo new > fresh/file; echo ignored > build/out.log
ln -s /etc/passwd absolute-too; ln -sf ../outside link; ln a.txt hard-link; mkfifo pipe
"""
    await shell(workspace, 1, script)
    tree = await workspace.snapshot()
    one = b"one\ntwo\n"
    assert opener.project.changed(tree) == {
        b"crlf.txt": b"one\r\n2",
        b"a.txt": one,
        b"hard-link": one,
        b"empty": None,
        b"deep/er/file.py": None,
        b"fresh/file": b"new\n",
        b"build/out.log": b"ignored\n",
        b"absolute-too": b"/etc/passwd",
        b"link": b"../outside",
    }
    before, after = opener.project.listed(opener.project.tree), opener.project.listed(tree)
    assert after[SUBMODULE] == before[SUBMODULE]
    modes = {path: mode for path, (mode, _) in after.items()}
    assert modes[b"a.txt"] == modes[b"hard-link"] == b"100755"
    assert modes[b"absolute-too"] == modes[b"link"] == b"120000"


_NO_DEEP: dict[bytes, bytes | None] = {b"deep/er/file.py": None, b"deep/other.py": None}
KINDS: dict[str, dict[bytes, bytes | None]] = {
    "rm -r deep": _NO_DEEP,
    "rm -r deep; echo file > deep": {b"deep": b"file\n", **_NO_DEEP},
    "rm -r deep; mkdir deep; echo z > deep/z": {b"deep/z": b"z\n", **_NO_DEEP},
    "rm -r deep; mkdir -p deep/other.py": _NO_DEEP,
    "cp -r deep kept; rm -r deep; mkdir deep; cp kept/other.py deep; rm -r kept": {b"deep/er/file.py": None},
    "mv deep moved": {b"moved/er/file.py": b"x = 1\n", b"moved/other.py": b"y = 1\n", **_NO_DEEP},
    "rm a.txt; mkdir a.txt; echo in > a.txt/in": {b"a.txt": None, b"a.txt/in": b"in\n"},
    "rm a.txt; mkdir a.txt": {b"a.txt": None},
    "rm link; echo file > link": {b"link": b"file\n"},
    "rm a.txt; ln -s empty a.txt": {b"a.txt": b"empty"},
    "rm folder-link; mkdir folder-link; echo z > folder-link/z": {
        b"folder-link": None,
        b"folder-link/z": b"z\n",
    },
    "rm folder-link; cp -r deep/er folder-link": {b"folder-link": None, b"folder-link/file.py": b"x = 1\n"},
    "echo 3 >> a.txt; git checkout -q -- a.txt": {},
    "rm -- 'time 12:30.txt' 'trailing. ' Twin; find . -name 'latin?' -delete": {
        b"time 12:30.txt": None,
        b"trailing. ": None,
        b"Twin": None,
        b"latin\xff": None,
    },
}


@pytest.mark.parametrize("script", KINDS)
async def test_every_kind_of_change(opener: Opener, workspace: Workspace, script: str) -> None:
    await shell(workspace, 1, script)
    tree = await workspace.snapshot()
    assert opener.project.changed(tree) == KINDS[script]
    async with opener.open(base=TreeBase(opener.project.commit, tree)) as successor:
        assert await successor.glob("**") == await workspace.glob("**")


async def test_a_change_that_keeps_size_and_time_is_seen(workspace: Workspace) -> None:
    await shell(workspace, 1, "touch -r a.txt /tmp/t; printf 'ONE\\ntwo\\n' > a.txt; touch -r /tmp/t a.txt")
    assert (await workspace.diff()).files == {"a.txt": TreeFile(b"ONE\ntwo\n")}


async def test_a_successor_goes_on_with_the_tree(opener: Opener, workspace: Workspace) -> None:
    await shell(workspace, 1, "echo more >> a.txt; chmod +x a.txt; rm empty; echo ONE > bom.txt")
    tree = await workspace.snapshot()
    async with opener.open(base=TreeBase(opener.project.commit, tree)) as successor:
        told = await shell(successor, 1, "cat a.txt; git status --short")
        assert told.stdout == b"one\ntwo\nmore\n M a.txt\n M bom.txt\n D empty\n"
        assert (await successor.diff()).files == {}
        await shell(successor, 2, "echo x > y")
        changed = opener.project.changed(await successor.snapshot())
    assert changed.keys() == {b"a.txt", b"bom.txt", b"empty", b"y"}


async def test_workspaces_of_one_tree_do_not_see_each_other(opener: Opener) -> None:
    async with opener.open() as one, opener.open() as other:
        await shell(one, 1, "echo changed > a.txt; rm -r deep; chmod -R u+w .git; echo x > .git/HEAD")
        assert await other.read("a.txt") == b"one\ntwo\n"
        await shell(other, 1, "cat deep/other.py; git status --short")
    async with opener.open() as later:
        assert (await shell(later, 1, "git status --short; cat a.txt")).stdout == b"one\ntwo\n"


@pytest.mark.parametrize(
    "script",
    [
        "touch 'a:b'",
        "touch 'Aux'",
        "touch new-twin New-Twin",
        "mkdir -p sub/.git; touch sub/.git/config",
        "touch $(printf 'x\\377')",
        "echo x > setuid; chmod 4755 setuid",
        "echo x > secret; chmod 000 secret",
        "touch .gitmodules",
    ],
)
async def test_a_change_that_no_tree_may_hold_is_refused(workspace: Workspace, script: str) -> None:
    await shell(workspace, 1, script)
    with pytest.raises(UnsafePath):
        await workspace.diff()
    with pytest.raises(UnsafePath):
        await workspace.snapshot()


async def test_a_submodule_goes_with_its_folder(opener: Opener, workspace: Workspace) -> None:
    await shell(workspace, 1, "rmdir vendored")
    assert SUBMODULE not in opener.project.listed(await workspace.snapshot())


async def test_a_file_in_a_submodule_is_refused(workspace: Workspace) -> None:
    await shell(workspace, 1, "echo x > vendored/file")
    with pytest.raises(InvalidInput, match="submodule 'vendored'"):
        await workspace.snapshot()
    await shell(workspace, 2, "rm vendored/file")
    await workspace.snapshot()


async def test_changes_have_a_cap(opener: Opener) -> None:
    async with opener.open(replace(SMALL, changed_mb=1, changed_files=20)) as workspace:
        await shell(workspace, 1, "for i in $(seq 21); do echo x > f$i; done")
        with pytest.raises(LimitExceeded, match="21 files changed, 20 are the most"):
            await workspace.diff()
        await shell(workspace, 2, "rm f*; head -c 1100000 /dev/zero > big")
        with pytest.raises(LimitExceeded, match="more than 1048576 bytes changed; large is big"):
            await workspace.snapshot()
        caches = "mkdir -p a/.mypy_cache; mv big a/.mypy_cache; mkdir .ruff_cache; echo x > .ruff_cache/y"
        await shell(workspace, 3, f"{caches}; echo x > small")
        assert (await workspace.diff()).files.keys() == {"small"}


def _beside(folder: Path) -> Environment:
    """What a build wrote, owned as the programs' own."""
    (folder / "deep").mkdir()
    (folder / "deep" / "made.py").write_text("made = 1\n")
    (folder / "a.txt").write_text("never seen: the tree has one\n")
    (folder / "link").symlink_to("/elsewhere")
    give_to_programs(folder)
    return Environment(beside=str(folder))


async def test_what_lies_beside_the_tree_is_there_and_no_change(opener: Opener, packages: Path) -> None:
    async with opener.open(environment=_beside(packages)) as workspace:
        await shell(workspace, 1, "cat deep/made.py package.py a.txt; test -d deep/er; readlink link")
        assert await workspace.read("a.txt") == FILES[b"a.txt"][1]
        assert await workspace.snapshot() == opener.project.tree
        await shell(workspace, 2, "rm package.py; rm a.txt; echo made=2 > deep/made.py")
        changes = await workspace.diff()
        assert changes.deleted == ("a.txt",)
        assert {path: file.content for path, file in changes.files.items()} == {"deep/made.py": b"made=2\n"}
        await workspace.snapshot()
    assert (packages / "deep" / "made.py").read_text() == "made = 1\n"
