"""The checkers in a sandbox: those that are installed beside us, apart from what programs see."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from contracts.base.languages import CHECKERS
from contracts.ports.sandbox import Sandbox, SandboxRequest
from sandbox_runner import SandboxSettings
from sandbox_runner.choose import open_untested
from sandbox_runner.local.checkers import checkers_here, checkers_in_words
from sandbox_runner.local.toolbox import ensure_toolbox
from tests.project.documented import ROOT

TREE = {
    "a.py": b"import os\nimport subprocess\n\n\ndef f(x):\n    return subprocess.call(x, shell=True)\n",
    "b.py": b"def g() -> int :\n    return ''\n",
    "click.py": b"raise SystemExit('this one was imported')\n",
}
FOUND = {
    ("ruff", "check", "--output-format=concise"): "a.py:1:8: F401",
    ("black", "--check"): "would reformat b.py",
    ("flake8",): "a.py:1:1: F401",
    ("mypy",): 'b.py:2: error: Incompatible return value type (got "str", expected "int")',
    ("bandit", "--quiet", "--format=custom", "--msg-template={relpath}:{line}: {test_id}"): "a.py:6: B602",
}


async def test_each_finds_what_is_wrong_and_programs_see_none_of_them(toolbox: Path) -> None:
    opened = await open_untested("namespaces", SandboxSettings(toolbox=toolbox))
    sandbox: Sandbox = opened.sandbox
    try:
        for command, finding in FOUND.items():
            ended = await sandbox.run(SandboxRequest(argv=(*command, "a.py", "b.py"), files=TREE))
            assert finding in (ended.stdout + ended.stderr).decode(), command
            assert ended.exit_code == 1, command
        for name in ("click", "mypy", "yaml"):
            ended = await sandbox.run(SandboxRequest(argv=("python", "-c", f"import {name}")))
            assert f"No module named {name!r}".encode() in ended.stderr
    finally:
        await sandbox.close()
    assert {command[0] for command in FOUND} == set(CHECKERS) == set(checkers_here())
    assert checkers_in_words() in opened.remark


MADE = f"""
packages=v/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages
mkdir -p v/bin $packages/dep; ln -s "$(command -v python)" v/bin/python; touch $packages/dep/py.typed
echo "home = $(dirname "$(readlink -f "$(command -v python)")")" > v/pyvenv.cfg
echo 'X: int = 1' > $packages/dep/__init__.py
VIRTUAL_ENV=$PWD/v exec mypy a.py
"""


async def test_mypy_reads_the_packages_of_an_environment_and_pytest(toolbox: Path) -> None:
    tree = {"a.py": b"import pytest\nfrom dep import X\nY: str = X\n"}
    opened = await open_untested("namespaces", SandboxSettings(toolbox=toolbox))
    ended = await opened.sandbox.run(SandboxRequest(argv=("sh", "-c", MADE), files=tree))
    await opened.sandbox.close()
    found = ended.stdout.decode().splitlines()
    assert len(found) == 2, "one finding, and their number"
    assert found[0].startswith("a.py:3: error: Incompatible types in assignment")


def test_they_are_linked_and_stay_as_they_are(tmp_path: Path) -> None:
    installed = Path(sysconfig.get_path("purelib"), "mypy", "main.py")
    mode = installed.stat().st_mode
    place = ensure_toolbox(tmp_path)
    copy = place / "checks" / "mypy" / "main.py"
    assert copy.read_bytes() == installed.read_bytes()
    assert copy.samefile(installed) or copy.stat().st_dev != installed.stat().st_dev
    assert installed.stat().st_mode == mode
    assert all(path.stat().st_mode & 0o005 == 0o005 for path in (place / "bin").iterdir())


def test_without_them_a_toolbox_is_as_before(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not re.match(rf"({'|'.join(CHECKERS)})-.*\.dist-info$", entry.name):
            (packages / entry.name).symlink_to(entry)
    script = (
        "import sys; from pathlib import Path; from sandbox_runner.local.checkers import checkers_in_words\n"
        "from sandbox_runner.local.toolbox import ensure_toolbox\n"
        "print(checkers_in_words()); print(ensure_toolbox(Path(sys.argv[1])))"
    )
    said = subprocess.run(
        [sys.executable, "-S", "-c", script, str(tmp_path / "toolbox")],
        env={"PYTHONPATH": f"{ROOT}{os.pathsep}{packages}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    place = Path(said[1])
    assert (
        said[0] == "checkers: none (pip install 'multi-agent[checks]' for bandit, black, flake8, mypy, ruff)"
    )
    assert sorted(path.name for path in place.iterdir()) == ["bin", "etc", "lib"]
    assert sorted(path.name for path in (place / "bin").iterdir()) == ["pytest", "python", "python3"]


def test_the_image_has_what_the_extra_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / "sandbox_runner/docker/context/Dockerfile").read_text("utf-8")
    wanted = project["optional-dependencies"]["checks"]
    assert [re.split("[<>=]", one)[0] for one in wanted] == list(CHECKERS)
    assert " ".join(f'"{one}"' for one in wanted) in text
    assert all(f"/opt/checks/bin/{name} " in text for name in CHECKERS)
