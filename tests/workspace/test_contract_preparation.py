"""The Workspace port, by every backend: what is done to the tree before the first command."""

from __future__ import annotations

import pytest

from contracts.base.errors import LimitExceeded, UnsafePath
from contracts.ports.trees import TreeChanges, TreeFile
from contracts.ports.workspace import Preparation
from tests.workspace.conftest import SMALL, Opener, shell

OVERWRITE = "echo other > deep/other.py || true; rm -f deep/other.py || true; mv deep/other.py x || true"


def prepared(*deleted: str, **files: TreeFile) -> Preparation:
    """A preparation; `__` in a name stands for `/`."""
    written = {name.replace("__", "/"): file for name, file in files.items()}
    return Preparation(TreeChanges(deleted, written))


async def test_files_are_written_and_deleted_before_the_first_command(opener: Opener) -> None:
    changes = prepared(
        "empty",
        "deep/er",
        "not/there",
        fresh__one=TreeFile(b"1\n"),
        run=TreeFile(b"#!/bin/sh\n", executable=True),
        pointer=TreeFile(b"a.txt", is_link=True),
    )
    async with opener.open(preparation=changes) as workspace:
        found = await shell(
            workspace, 1, "cat fresh/one; readlink pointer; ls; test -x run; test ! -x fresh/one; ls deep"
        )
        assert found.stdout.startswith(b"1\na.txt\n")
        assert b"empty" not in found.stdout
        diff = await workspace.diff()
    assert {"empty", "deep/er"} <= set(diff.deleted)
    assert {path: file.content for path, file in diff.files.items()} == {
        "fresh/one": b"1\n",
        "run": b"#!/bin/sh\n",
        "pointer": b"a.txt",
    }


@pytest.mark.parametrize(
    "path", ["link", "folder-link", "folder-link/file.py", "absolute", "absolute/x", "deep"]
)
async def test_what_is_there_is_replaced_and_no_link_is_followed(opener: Opener, path: str) -> None:
    changes = Preparation(TreeChanges((), {path: TreeFile(b"ours\n")}))
    async with opener.open(preparation=changes) as workspace:
        found = await shell(workspace, 1, f"test ! -L {path}; cat {path} a.txt; cat deep/er/file.py || true")
    expected = b"ours\none\ntwo\n" + (b"" if path == "deep" else b"x = 1\n")
    assert found.stdout == expected


async def test_a_folder_that_is_deleted_takes_what_git_does_not_give(opener: Opener) -> None:
    """A link that leads into a folder of the same name is one entry; what it leads to stays."""
    async with opener.open(preparation=prepared("folder-link")) as workspace:
        await shell(workspace, 1, "test ! -e folder-link; test -e deep/er/file.py")


async def test_no_command_changes_what_is_read_only(opener: Opener) -> None:
    written = {"tests/test_a.py": TreeFile(b"assert True\n")}
    changes = Preparation(TreeChanges((), written), read_only=("deep/other.py", "tests/test_a.py"))
    async with opener.open(preparation=changes) as workspace:
        await workspace.exec(1, ("sh", "-c", f"{OVERWRITE}; echo no > tests/test_a.py"))
        if opener.mounts:
            look = "cat deep/other.py tests/test_a.py; chmod 600 tests/test_a.py || echo kept"
            found = await shell(workspace, 2, look)
            assert found.stdout == b"y = 1\nassert True\nkept\n"
        else:
            modes = await workspace.exec(2, ("stat", "-c", "%a", "tests/test_a.py"))
            assert modes.stdout == b"444\n"


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", ".git/hooks/x", "a/.git"])
async def test_a_path_that_may_not_be_in_a_tree_is_refused(opener: Opener, path: str) -> None:
    tried = {
        "written": Preparation(TreeChanges((), {path: TreeFile(b"")})),
        "deleted": Preparation(TreeChanges((path,), {})),
        "read only": Preparation(read_only=(path,)),
    }
    for changes in tried.values():
        with pytest.raises(UnsafePath):
            async with opener.open(preparation=changes):
                pass


async def test_changes_have_the_limits_of_changes(opener: Opener) -> None:
    large = Preparation(TreeChanges((), {"big": TreeFile(bytes(SMALL.changed_bytes + 1))}))
    with pytest.raises(LimitExceeded, match=r"preparation\.changes: \d+ bytes"):
        async with opener.open(preparation=large):
            pass
