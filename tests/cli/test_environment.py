"""`multi-agent environment`, as a user calls it."""

from __future__ import annotations

import os
import sys
import venv
from pathlib import Path

import pytest

from contracts.base.processes.folder_cache import FolderCache
from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli
from tests.environments.package_index import serving

SANDBOX = {"MULTI_AGENT_SANDBOX": "bubblewrap"}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    folder = tmp_path / "here"
    folder.mkdir()
    return Cli(folder)


@pytest.fixture
def repo(cli: Cli) -> Path:
    folder = cli.folder / "a repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "requirements.txt").write_text("dependency\n")
    commit_all(folder)
    return folder


def test_a_day_with_an_environment(cli: Cli, repo: Path) -> None:
    assert cli("environment", "list").stdout == "no environment is kept\n"
    with serving() as index:
        index.add("dependency", dependency="")
        index.add("pytest", pytest="")
        cli.env |= {"PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": os.devnull, **SANDBOX}
        built = cli("environment", "build", str(repo))
    python = ".".join(map(str, sys.version_info[:3]))
    assert built.stderr.splitlines() == [
        f"environment from requirements.txt: Python {python}, which runs this program",
        "fetching 2 requirements, and what they need",
        "building the environment from 2 packages, without a network",
    ]
    assert built.stdout.endswith(f": requirements.txt, Python {python}, 2 packages\n")
    (listed,) = cli.json("environment", "list")
    assert built.stdout.startswith(f"environment {listed['id']}: ")
    assert cli("environment", "list").stdout.split()[0] == listed["id"]
    # Nobody answers at the index any more.
    again = cli.json("environment", "build", str(repo))
    assert again == {"hash": listed["hash"], "name": listed["name"]}
    cache = FolderCache(cli.folder / ".multi_agent" / "environments", 10**9)
    with cache.using(f"built-{listed['hash']}", lambda _: None):
        assert "is in use" in cli("environment", "remove", listed["id"], code=4).stderr
    assert cli("environment", "remove", listed["id"]).stdout.startswith(f"removed: {listed['id']}")
    assert cli.json("environment", "list") == []


def test_a_folder_of_the_users_own_is_checked(cli: Cli, repo: Path) -> None:
    venv.create(repo / ".venv", with_pip=False, symlinks=True)
    named = cli("environment", "build", str(repo), "--environment", str(repo / ".venv"))
    assert named.stdout.endswith("0 packages\n")
    assert named.stderr == f"{repo}/.venv has no pytest: the sandbox's own is used\n"
    by_setting = cli("environment", "build", str(repo), MULTI_AGENT_ENVIRONMENT=str(repo / ".venv"))
    assert by_setting.stdout == named.stdout


def test_mistakes_are_told_in_one_line(cli: Cli, repo: Path) -> None:
    def told(*words: str, **env: str) -> str:
        said = cli("environment", *words, code=2, **env).stderr
        assert said.count("\n") == 1, said
        return said

    assert "nowhere': is not a folder" in told("build", "nowhere")
    assert "does not exist; name a virtual environment" in told("build", str(repo), "--environment", "x")
    assert "no Redis is known" in told("build", str(repo), MULTI_AGENT_SANDBOX="host")
    assert "is none; name one of: none is there" in told("remove", "0123456789ab")
    (repo / "pyproject.toml").write_text("[project\n")
    commit_all(repo)
    assert "pyproject.toml of the repository cannot be read" in told("build", str(repo), **SANDBOX)
    (repo / "pyproject.toml").write_text("[project]\nrequires-python = '>=4'\n")
    commit_all(repo)
    assert "the repository needs Python >=4, and this machine has 3." in told("build", str(repo), **SANDBOX)


def test_what_fails_is_another_exit_code_than_what_is_mistyped(cli: Cli, repo: Path) -> None:
    with serving() as index:
        cli.env |= {"PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": os.devnull, **SANDBOX}
        said = cli("environment", "build", str(repo), code=1).stderr.splitlines()[-1]
    assert said.startswith("Error: environment, step fetch: no wheel of 'dependency' for Python 3.")
    assert cli.json("environment", "list") == []


def test_a_repository_that_names_nothing_needs_nothing(cli: Cli, repo: Path) -> None:
    git(repo, "rm", "-q", "requirements.txt")
    git(repo, "commit", "-q", "--allow-empty", "-m", "nothing")
    assert cli("environment", "build", str(repo)).stdout.startswith("nothing to build")
    assert cli.json("environment", "build", str(repo), "--environment", "none") == {"hash": "", "name": ""}
