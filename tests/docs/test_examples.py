"""The examples in docs/ work as they stand, and the README shows them as they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multi_agent.cli import EXIT_DONE
from tests.support.redis_servers import PrivateRedis

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 100


def environment(folder: Path, **more: str) -> dict[str, str]:
    measuring = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **measuring, **more}


def test_an_agent_of_ones_own_does_its_task(tmp_path: Path) -> None:
    folder = tmp_path / "own_agent"
    shutil.copytree(DOCS / "own_agent", folder, ignore=shutil.ignore_patterns("__pycache__"))
    words = ("run", "--plan", "plan.json", "--agents", "translator", "--json")
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "multi_agent.cli", *words],
        cwd=folder,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == EXIT_DONE, ended.stderr
    summary = json.loads(ended.stdout)
    assert summary["files"] == ["greeting.fr.txt"]
    store = folder / ".multi_agent" / "artifacts.git"
    shown = subprocess.run(
        ["git", "--git-dir", str(store), "show", f"{summary['commit']}:greeting.fr.txt"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout == "bonjour monde\n"


@contextmanager
def worker(folder: Path, redis_url: str) -> Iterator[None]:
    env = environment(
        folder,
        REDIS_URL=redis_url,
        MULTI_AGENT_ARTIFACT_STORE=str(folder / "artifacts.git"),
        MULTI_AGENT_DATA_DIR=str(folder / "worker"),
    )
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "multi_agent.cli", "worker"], cwd=folder, env=env, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def test_the_whole_way_from_python(tmp_path: Path) -> None:
    redis = PrivateRedis()
    redis.start()
    try:
        with worker(tmp_path, redis.url):
            ended = subprocess.run(
                [sys.executable, str(DOCS / "from_python.py"), redis.url, str(tmp_path)],
                cwd=tmp_path,
                env=environment(tmp_path),
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
    finally:
        redis.stop()
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-5:] == [
        "sma_crossover/__init__.py",
        "sma_crossover/averages.py",
        "sma_crossover/strategy.py",
        "tests/test_averages.py",
        "tests/test_strategy.py",
    ]


def test_the_readme_shows_the_agent_as_it_is() -> None:
    code = (DOCS / "own_agent" / "translator.py").read_text("utf-8").partition("import annotations\n")[2]
    assert code.strip() in (DOCS.parent / "README.md").read_text("utf-8")


def test_the_picture_asks_nobody_for_anything() -> None:
    picture = (DOCS / "run.svg").read_text("utf-8")
    assert "10 of 10" in picture.replace("&#160;", " ")
    assert picture.count("://") == picture.count('xmlns="http://www.w3.org/2000/svg"') == 1
