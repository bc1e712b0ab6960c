"""Files of the user's own: programs of a task have them, and nothing else ever does."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from artifacts.trees.git_trees import GitTrees
from artifacts.trees.untracked import untracked_files
from contracts.base.errors import InvalidInput
from contracts.base.processes.folder_cache import FolderCache
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import PrivateFiles
from multi_agent.application.bases import find_base, take_base
from multi_agent.bootstrap import make_environments
from multi_agent.settings import Settings
from sandbox_runner.environments.yours.included import IncludedEnvironments
from sandbox_runner.environments.yours.user_folder import FolderEnvironments
from sandbox_runner.environments.yours.work_trees import INCLUDE, WorkTrees
from sandbox_runner.workspace.private import privacy_of
from tests.environments.conftest import LIMITS, Place
from tests.workspace.hosts import remote_workspaces, workspace_host

KEY = "k3y-with-17-letters"
one_backend = pytest.mark.parametrize("backend", ["bubblewrap"], indirect=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def included(place: Place, data: Path) -> IncludedEnvironments:
    """What a worker with this data folder has, for a user whose environment is an empty folder of modules."""
    modules = data / "node_modules"
    modules.mkdir(parents=True, exist_ok=True)
    data.chmod(0o755)
    own = FolderEnvironments(modules, place.store.trees(), place.cache)
    copies = FolderCache(data / "private", 0)
    return IncludedEnvironments(own, place.store.trees(), WorkTrees(data), untracked_files, copies)


def modes(folder: str) -> dict[str, int]:
    """Who may do what with the entries of a folder."""
    return {path.name: path.stat().st_mode & 0o777 for path in Path(folder).iterdir()}


def fill(place: Place) -> None:
    """A repository with a file of keys beside others that are not tracked."""
    place.write({INCLUDE: ".env.*\n!.env.local\nkeys/\n", ".gitignore": ".env.*\n", "code.py": "a = 1\n"})
    for path, text in {
        ".env.test": f"# test keys\nKEY={KEY}\nDEBUG=yes\n",
        ".env.local": "not named",
        "keys/server.txt": "words of no weight",
        "notes.txt": "not named",
    }.items():
        (place.repository / path).parent.mkdir(exist_ok=True)
        (place.repository / path).write_text(text)
    (place.repository / ".env.link").symlink_to("/etc/passwd")


@one_backend
async def test_programs_have_them_and_nobody_else(place: Place, data: Path) -> None:
    fill(place)
    commit = await place.store.import_base(place.repository)
    WorkTrees(data).remember(commit, place.repository)
    async with AsyncExitStack() as stack:
        prepared = await stack.enter_async_context(included(place, data).prepare(commit, place.said.append))
        assert prepared is not None
        assert prepared.name.endswith(f", 2 files of {INCLUDE}")
        workspace = await place.workspaces.open(TreeBase(commit), prepared.environment, LIMITS)
        stack.push_async_callback(workspace.close)
        seen = await workspace.exec(1, ("sh", "-c", "cat .env.* keys/*; wc -c < .env.test; ls -A"))
        assert seen.stdout.decode().split("\n") == [
            "# test keys",
            "KEY=[private]",
            "DEBUG=yes",
            "words of no weight" + str(len(f"# test keys\nKEY={KEY}\nDEBUG=yes\n")),
            *(".env.test", ".git", ".gitignore", INCLUDE, "code.py", "keys", "node_modules", ""),
        ]
        await workspace.exec(2, ("sh", "-c", "echo more >> .env.test; echo b = 2 >> code.py"))
        assert list((await workspace.diff()).files) == ["code.py"]
        assert await workspace.grep("more|b = 2") == (("code.py", 2, "b = 2"),)
        assert await workspace.glob(".env*") == ()
        for refused in (workspace.read("./.env.test"), workspace.write(".env.test", b"")):
            with pytest.raises(InvalidInput, match="is a file of the user's own"):
                await refused
    assert (place.repository / ".env.test").read_text().endswith("DEBUG=yes\n")
    assert not FolderCache(data / "private", 0).entries()


@one_backend
@pytest.mark.parametrize("same_machine", [True, False])
async def test_a_sandbox_host_has_those_of_its_own_machine(
    place: Place, data: Path, *, same_machine: bool
) -> None:
    fill(place)
    commit = await place.store.import_base(place.repository)
    if same_machine:
        WorkTrees(data).remember(commit, place.repository)
    broker, trees = MemoryBroker(), GitTrees(place.store.repository, data / "held", owner=None)
    async with AsyncExitStack() as stack:
        theirs = workspace_host(
            MemoryBus(broker), place.workspaces, place.backend, included(place, data), lease_seconds=9.0
        )
        await stack.enter_async_context(theirs)
        remote = await stack.enter_async_context(remote_workspaces(MemoryBus(broker), trees, lease=9.0))
        prepared = await stack.enter_async_context(remote.prepare(commit, place.said.append))
        assert prepared is not None
        assert f"2 files of {INCLUDE}" in prepared.name or not same_machine
        workspace = await remote.open(TreeBase(commit), prepared.environment, LIMITS)
        stack.push_async_callback(workspace.close)
        seen = await workspace.exec(
            1, ("sh", "-c", "cat .env.test; echo more >> .env.test; echo b >> code.py")
        )
        assert (b"KEY=[private]" in seen.stdout) is same_machine
        assert KEY.encode() not in seen.stdout
        if same_machine:
            assert list((await workspace.diff()).files) == ["code.py"]
            with pytest.raises(InvalidInput, match="is a file of the user's own"):
                await workspace.read(".env.test")


@one_backend
async def test_without_their_work_tree_it_is_said(place: Place, data: Path) -> None:
    fill(place)
    commit = await place.store.import_base(place.repository)
    environments = included(place, data)
    async with environments.prepare(commit, place.said.append) as prepared:
        assert prepared is not None
        assert prepared.environment.private is None
    assert place.said == [f"files that {INCLUDE} names are not on this machine: programs do not see them"]


@one_backend
async def test_what_changes_them_and_what_is_too_much(place: Place, data: Path) -> None:
    fill(place)
    commit = await place.store.import_base(place.repository)
    WorkTrees(data).remember(commit, place.repository)
    environments = included(place, data)

    async def prepared() -> str:
        async with environments.prepare(commit, place.said.append) as found:
            assert found is not None
            return found.hash

    first = await prepared()
    assert await prepared() == first
    (place.repository / ".env.test").write_text("KEY=another")
    assert await prepared() != first
    os.truncate(place.repository / ".env.test", 20_000_001)
    with pytest.raises(InvalidInput, match="names 20,000,019 bytes, the limit is 20,000,000; name fewer"):
        await prepared()
    (place.repository / INCLUDE).unlink()
    assert WorkTrees(data).of(commit) is None


def test_only_what_looks_like_a_key_is_hidden(tmp_path: Path) -> None:
    text = (
        "#4-word-in-a-comment\nexport A_LONG_NAME_1='s3cret-number-one'\nurl: https://u:p4ss@host.invalid/x\n"
        "PLAIN=configuration\nSHORT=a1\n-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7\n"
    )
    (tmp_path / "keys").write_text(text)
    hidden = privacy_of(PrivateFiles(str(tmp_path), "")).hide(text.encode()).decode()
    assert hidden == (
        "#4-word-in-a-comment\nexport A_LONG_NAME_1='[private]'\nurl: [private]\n"
        "PLAIN=configuration\nSHORT=a1\n-----BEGIN KEY-----\n[private]\n"
    )


@one_backend
async def test_where_a_run_starts_from_is_known_to_its_workers(place: Place, data: Path) -> None:
    fill(place)
    settings = Settings(data_dir=data, environment="auto")
    base = await find_base(settings, place.repository, place.said.append)
    await take_base(place.store, place.repository, base, settings, place.said.append)
    assert base.commit is not None
    environments = make_environments(settings, place.store, place.workspaces)
    async with environments.prepare(base.commit, place.said.append) as prepared:
        assert prepared is not None
        assert prepared.name == f"2 files of {INCLUDE}"
        assert prepared.environment.private is not None
        assert modes(prepared.environment.private.folder) == {".env.test": 0o600, "keys": 0o755}
    async with make_environments(
        settings.model_copy(update={"environment": "none"}), place.store, place.workspaces
    ).prepare(base.commit, place.said.append) as nothing:
        assert nothing is None
