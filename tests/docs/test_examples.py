"""The examples in docs/ work as they stand, and the pages show them as they are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from multi_agent.cli import EXIT_DONE
from multi_agent.settings import Settings
from tests.support.measuring import measuring

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 100
INNER = {"log_events.md", "metrics.md", "mutants.md"}
"""Pages that other pages lead to."""


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **measuring(), **more}


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


def test_the_whole_way_from_python(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-P", str(DOCS / "from_python.py")],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "contract completed",
        "averages completed",
        "strategy completed",
        "tests completed",
        "review completed",
        "tests.fix1 completed",
        "tests.retest1 completed",
        "contract.json",
        "review_report.json",
        "sma_crossover/__init__.py",
        "sma_crossover/averages.py",
        "sma_crossover/strategy.py",
        "test_report.json",
        "tests/test_averages.py",
        "tests/test_strategy.py",
        "10 tests passed",
    ]


def test_the_page_shows_the_agent_as_it_is() -> None:
    code = (DOCS / "own_agent" / "translator.py").read_text("utf-8").partition("import annotations\n")[2]
    assert code.strip() in (DOCS / "agents.md").read_text("utf-8")


def test_the_settings_are_those_of_the_code() -> None:
    argv = [sys.executable, str(DOCS / "make_settings.py"), "--check"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_every_setting_is_explained() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_readme_is_read_in_a_minute() -> None:
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    assert len(readme.splitlines()) < 150
    linked = "".join((DOCS.parent / name).read_text("utf-8") for name in ("README.md", "ARCHITECTURE.md"))
    pages = {path.name for path in DOCS.glob("*.md")} - INNER
    assert {page for page in pages if f"docs/{page}" not in linked} == set(), "pages that nobody finds"


def test_the_picture_asks_nobody_for_anything() -> None:
    picture = (DOCS / "run.svg").read_text("utf-8")
    assert "10 of 10" in picture
    texts = re.findall(r"<text[^>]*>(.*?)</text>", picture, re.DOTALL)
    spaces = [text for text in texts if re.search(r"^\s|\s$|\s\s|&#160;|\xa0", text)]
    assert spaces == [], "viewers differ in what they make of them"
    assert picture.count("://") == picture.count('xmlns="http://www.w3.org/2000/svg"') == 1
