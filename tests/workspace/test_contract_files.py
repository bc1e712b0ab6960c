"""The Workspace port, by every backend: reading, writing and searching files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.base.errors import InvalidInput, UnsafePath
from contracts.ports.workspace import Workspace
from tests.workspace.conftest import SMALL, Opener, shell
from tests.workspace.repositories import FILES

OUTSIDE = ["../x", "/etc/passwd", "deep/../../etc", "a\0b"]


async def test_every_file_is_read_as_it_is(workspace: Workspace) -> None:
    for path, (mode, content) in FILES.items():
        if mode != "120000":
            assert await workspace.read(path.decode("utf-8", "surrogateescape")) == content, path


async def test_a_part_of_a_file_is_read(workspace: Workspace) -> None:
    assert await workspace.read("a.txt", offset=4, size=3) == b"two"
    assert await workspace.read("a.txt", offset=100) == b""
    with pytest.raises(InvalidInput, match="must not be negative"):
        await workspace.read("a.txt", offset=-1)


async def test_a_link_within_the_tree_is_followed(workspace: Workspace) -> None:
    assert await workspace.read("link") == b"one\ntwo\n"
    assert await workspace.read("folder-link/file.py") == b"x = 1\n"
    await workspace.write("link", b"through\n")
    assert await workspace.read("a.txt") == b"through\n"


@pytest.mark.parametrize("target", ["/etc/passwd", "/work/../etc/passwd", "/tmp", "/proc/self/environ", "/"])
async def test_no_link_is_followed_out_of_the_tree(workspace: Workspace, target: str) -> None:
    await shell(workspace, 1, f"ln -s {target} out; mkdir sub; ln -s {target} sub/out")
    for path in ("out", "sub/out"):
        with pytest.raises(InvalidInput, match="leads out of the tree"):
            await workspace.read(path)
        with pytest.raises(InvalidInput, match="leads out of the tree"):
            await workspace.write(path, b"x")
        with pytest.raises(InvalidInput, match="leads out of the tree"):
            await workspace.list(path)
        with pytest.raises(InvalidInput, match="leads out of the tree"):
            await workspace.grep("root", path)
    assert [match for match in await workspace.grep("root:") if match.path.endswith("out")] == []
    assert "out/passwd" not in await workspace.glob("**/passwd")


@pytest.mark.parametrize("path", OUTSIDE)
async def test_no_path_leads_out_of_the_tree(workspace: Workspace, path: str) -> None:
    with pytest.raises(InvalidInput):
        await workspace.read(path)
    with pytest.raises(UnsafePath):
        await workspace.write(path, b"")
    with pytest.raises(InvalidInput):
        await workspace.list(path)
    with pytest.raises(InvalidInput):
        await workspace.glob(path)


@pytest.mark.parametrize("path", [".git/config", ".git/hooks/pre-commit", "sub/.GIT/x", ".gitmodules"])
async def test_nothing_of_gits_own_is_written(workspace: Workspace, path: str) -> None:
    with pytest.raises(UnsafePath):
        await workspace.write(path, b"")


async def test_what_is_no_file_is_told(workspace: Workspace) -> None:
    await shell(workspace, 1, "mkfifo pipe")
    for path, why in (("deep", "is no file"), ("pipe", "is no file"), ("absent", "No such file")):
        with pytest.raises(InvalidInput, match=why):
            await workspace.read(path)
    with pytest.raises(InvalidInput, match="Is a directory"):
        await workspace.write("deep", b"x")
    with pytest.raises(InvalidInput, match=r"Not a directory|File exists"):
        await workspace.write("a.txt/below", b"x")
    with pytest.raises(InvalidInput, match="Not a directory"):
        await workspace.list("a.txt")


async def test_a_file_is_written_with_its_folders_and_keeps_its_mode(workspace: Workspace) -> None:
    content = bytes(range(256)) * 8_000
    await workspace.write("new/folder/file.bin", content)
    await workspace.write("run.sh", b"#!/bin/sh\necho again\n")
    await workspace.write("empty-too", b"")
    told = await shell(workspace, 1, "./run.sh; stat -c %a new/folder/file.bin; wc -c < new/folder/file.bin")
    assert told.stdout.split() == [b"again", b"644", str(len(content)).encode()]
    assert await workspace.read("empty-too") == b""


async def test_a_folder_is_listed(workspace: Workspace) -> None:
    entries = {entry.name: entry for entry in await workspace.list()}
    assert [(entry.name, entry.kind) for entry in await workspace.list("deep")] == [
        ("er", "folder"),
        ("other.py", "file"),
    ]
    assert (entries["a.txt"].kind, entries["a.txt"].size) == ("file", 8)
    assert entries["link"].kind == entries["dangling"].kind == "link"
    assert entries["vendored"].kind == "folder"
    assert {"latin\udcff", "new\nline", "Twin", "twin"} <= entries.keys()


async def test_paths_are_found(workspace: Workspace) -> None:
    assert await workspace.glob("**/*.py") == ("deep/er/file.py", "deep/other.py")
    assert await workspace.glob("deep/*.py") == ("deep/other.py",)
    assert await workspace.glob("*/**/file.*") == ("deep/er/file.py",)
    assert await workspace.glob("[Tt]win") == ("Twin", "twin")
    assert await workspace.glob("nothing*") == ()
    everything = {path.encode("utf-8", "surrogateescape") for path in await workspace.glob("**")}
    assert everything == set(FILES)


async def test_lines_are_found(workspace: Workspace) -> None:
    assert await workspace.grep(r"^[xy] = \d", "deep") == (
        ("deep/er/file.py", 1, "x = 1"),
        ("deep/other.py", 1, "y = 1"),
    )
    assert [match.path for match in await workspace.grep("^two", "a.txt")] == ["a.txt"]
    assert await workspace.grep("grüße", "wide.utf16") == ()
    assert len(await workspace.grep(".", most=3)) == 3
    with pytest.raises(InvalidInput, match="pattern"):
        await workspace.grep("(")


async def test_a_search_without_end_is_ended(opener: Opener) -> None:
    async with opener.open(replace(SMALL, command_seconds=1)) as workspace:
        await workspace.write("evil", b"a" * 40 + b"!\n")
        with pytest.raises(InvalidInput, match="ended by its limit"):
            await workspace.grep("(a+)+$", "evil")
        assert await workspace.read("evil", size=1) == b"a"
