"""Repositories and folders as users have them: used as they are, or refused in one line before it costs."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli
from tests.support.redis_servers import PrivateRedis

ITEM = {
    "task_id": "t",
    "title": "test",
    "agent_role": "tester",
    "acceptance_criteria": {"tests": [{"cmd": "pytest tests"}]},
}
PLAN = json.dumps({"todo_list_id": "p", "request": "r", "items": [ITEM]})
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 12345\n"


def repository(folder: Path, **files: str) -> Path:
    """A repository with one commit."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name, text in {"code.py": "ONE = 1\n", **files}.items():
        (folder / name).write_text(text)
    commit_all(folder)
    return folder


def submitted(cli: Cli, repo: Path, *, code: int = 0, **env: str) -> str:
    """What is said on the way to a workflow on this repository."""
    cli.write({"plan.json": PLAN})
    return cli("submit", "plan.json", "--repo", str(repo), code=code, **env).stderr


def test_a_partial_clone_is_named_and_the_command_completes_it(cli: Cli) -> None:
    whole, part = repository(cli.folder / "whole"), cli.folder / "pa rt"
    (whole / "code.py").write_text("ONE = 11\n")
    commit_all(whole)
    git(whole, "config", "uploadpack.allowFilter", "true")
    git(cli.folder, "clone", "-q", "--filter=blob:none", f"file://{whole}", str(part))
    [line] = submitted(cli, part, code=2).splitlines()
    assert "is a partial clone" in line
    _, _, command = line.partition("fetch the rest: ")
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert submitted(cli, part) == ""


def test_a_folder_of_a_repository_is_led_to_its_root(cli: Cli) -> None:
    root = repository(cli.folder / "a b")
    (root / "pkg").mkdir()
    [line] = submitted(cli, root / "pkg", code=2).splitlines()
    assert line.endswith(f"is a folder of the repository '{root}'; use --repo '{root}'")
    assert "git init" not in line
    (cli.folder / "none").mkdir()
    assert "`git init` there" in submitted(cli, cli.folder / "none", code=2)


def test_what_agents_do_not_see_is_said_in_one_line(cli: Cli) -> None:
    repo = repository(cli.folder / "repo", **{"big.bin": POINTER, "time 12:30.txt": "x", ".gitmodules": ""})
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(repo, "commit", "-q", "-m", "a submodule")
    assert submitted(cli, repo).splitlines() == [
        "agents neither see nor change: the files of 1 submodule ('sub'); the data of 1 file in Git LFS "
        "('big.bin'); 1 file whose name they cannot be given ('time 12:30.txt')"
    ]


@pytest.mark.parametrize(
    ("setting", "most", "enough"),
    [("MULTI_AGENT_MAX_REPOSITORY_FILES", "2", "3"), ("MULTI_AGENT_MAX_REPOSITORY_MB", "1", "2")],
)
def test_a_repository_above_a_limit_is_refused_before_a_model_is_asked(
    cli: Cli, setting: str, most: str, enough: str
) -> None:
    repo = repository(cli.folder / "repo", a="x" * 700_000, b="y" * 700_000)
    words = ("run", "x", "--repo", str(repo), "--model", "manual:asked")
    line = cli(*words, code=2, **{setting: most}).stderr.splitlines()[-1]
    assert f"the limit is {most}; set {setting}={enough} to allow it" in line
    assert list((cli.folder / "asked").glob("*")) == []
    cli.env[setting] = enough
    assert submitted(cli, repo) == ""


def test_a_larger_limit_holds_for_the_workers_and_their_sandboxes(cli: Cli) -> None:
    repo = repository(cli.folder / "repo", test_code="")
    tests = repo / "tests"
    tests.mkdir()
    (tests / "test_code.py").write_text("import code_\n\ndef test():\n    assert code_.ONE == 1\n")
    (repo / "code_.py").write_text("ONE = 1\n")
    for number in range(5_100):
        (tests / f"{number}.txt").write_text("x")
    commit_all(repo)
    cli.write({"plan.json": PLAN})
    words = ("run", "--plan", "plan.json", "--repo", str(repo))
    assert "1 of 1 passed" in cli(*words, MULTI_AGENT_MAX_REPOSITORY_FILES="6000").stdout


def test_a_folder_may_have_any_name(cli: Cli) -> None:
    folder = cli.folder / "50%41 done? #1"
    folder.mkdir()
    repo = repository(folder / "repo")
    (repo / "tests").mkdir()
    (repo / "tests" / "test_code.py").write_text("def test():\n    pass\n")
    commit_all(repo)
    cli.write({"plan.json": PLAN})
    data = str(folder / "data")
    cli("run", "--plan", "plan.json", "--repo", str(repo), "--data-dir", data)
    cli("artifacts", "--checkout", str(folder / "result"), "--data-dir", data)
    assert (folder / "result" / "tests" / "test_code.py").exists()
    cli("db", "backup", str(folder / "backup.db"), "--data-dir", data)
    cli("verify", "--data-dir", data)


def test_doctor_notices_a_redis_that_evicts(cli: Cli) -> None:
    server = PrivateRedis("redis-server", options=("--maxmemory-policy", "allkeys-lru")).start()
    try:
        found = {one["name"]: one for one in cli.json("doctor", code=1, REDIS_URL=server.url)}
    finally:
        server.stop()
    assert not found["bus"]["found"]
    assert "set it to noeviction" in found["bus"]["detail"]
