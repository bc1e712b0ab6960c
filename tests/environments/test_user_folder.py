"""A folder of the user's own: programs use it as it is, over the task's tree and never the user's."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput
from contracts.base.processes.folder_cache import FolderCache
from sandbox_runner.environments.yours.user_folder import FolderEnvironments, UserFolder
from tests.environments.conftest import Place

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
TREE = {"src/thing/__init__.py": "WHERE = __file__\n", ".gitignore": "/.venv/\nnode_modules/\n"}
SHOW = "import thing, dependency, sys; print(thing.WHERE, dependency.VALUE, sys.prefix)"


def make_venv(folder: Path) -> Path:
    """A virtual environment without pip; return its packages."""
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "lib" / VERSION / "site-packages"


def install(packages: Path, name: str, **files: str) -> None:
    """Put a distribution there, as an installer does."""
    about = packages / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "RECORD").write_text(f"{name}.py,,\n")
    for module, text in files.items():
        (packages / f"{module}.py").write_text(text)


def script(venv_folder: Path, name: str, code: str) -> None:
    """Write a console script, which names its interpreter where it is outside."""
    file = venv_folder / "bin" / name
    file.write_text(f"#!{venv_folder}/bin/python\n{code}\n")
    file.chmod(0o755)


def environments(place: Place, folder: Path) -> FolderEnvironments:
    """The port, for a folder."""
    return FolderEnvironments(folder, place.store.trees(), place.cache)


async def test_the_tree_of_the_task_is_imported_and_never_the_users(place: Place) -> None:
    place.write(TREE)
    folder = place.repository / ".venv"
    packages = make_venv(folder)
    install(packages, "dependency", dependency="VALUE = 7\n")
    (packages / "__editable__.thing-1.0.pth").write_text(f"{place.repository}/src\n")
    script(folder, "show", SHOW)
    # What the user has not committed yet is no part of the task.
    (place.repository / "src/thing/__init__.py").write_text("WHERE = 'the work tree of the user'\n")
    told, imported, touched = await place.run(
        environments(place, folder),
        ("show",),
        ("python", "-c", SHOW),
        ("sh", "-c", "echo x > $VIRTUAL_ENV/x"),
    )
    expected = b"/work/src/thing/__init__.py 7 /opt/environment/python/venv\n"
    assert (told.stdout, told.stderr) == (expected, b"")
    assert imported.stdout == expected
    assert b"Read-only file system" in touched.stderr
    assert place.said == [f"{folder} has no pytest: the sandbox's own is used"]


async def test_a_finder_of_an_editable_install_leads_to_the_task(place: Place) -> None:
    place.write(TREE)
    folder = place.repository.parent / "elsewhere"
    packages = make_venv(folder)
    install(packages, "dependency", dependency="VALUE = 7\n")
    source = place.repository / "src/thing"
    (packages / "__editable___thing_1_0_finder.py").write_text(
        f"MAPPING: dict[str, str] = {{'thing': {str(source)!r}}}\nraise SystemExit('never run outside')\n"
    )
    (shown,) = await place.run(environments(place, folder), ("python", "-c", SHOW))
    assert shown.stdout.startswith(b"/work/src/thing/__init__.py 7")


async def test_its_own_pytest_is_used_and_else_the_sandboxes(place: Place) -> None:
    place.write(TREE | {"test_one.py": "def test_one(): pass\n"})
    folder = place.repository / ".venv"
    packages = make_venv(folder)
    (found,) = await place.run(environments(place, folder), ("pytest", "-p", "no:cacheprovider", "-q"))
    assert b"1 passed" in found.stdout, found.stderr
    install(packages, "pytest", pytest="print('pytest of the environment')\n")
    script(folder, "pytest", "import pytest")
    (found,) = await place.run(environments(place, folder), ("pytest",))
    assert found.stdout == b"pytest of the environment\n", found.stderr


async def test_modules_of_node_are_found_from_the_tree(place: Place) -> None:
    place.write(TREE | {"lib/a.js": "console.log(require('dependency'))\n"})
    folder = place.repository / "node_modules"
    (folder / "dependency").mkdir(parents=True)
    (folder / "dependency/index.js").write_text("module.exports = 7\n")
    (folder / ".bin").mkdir()
    (folder / ".bin/tool").write_text("#!/bin/sh\necho tool\n")
    (folder / ".bin/tool").chmod(0o755)
    found = await place.run(
        environments(place, folder),
        ("node", "lib/a.js"),
        ("tool",),
        ("ls", "node_modules/"),
        ("sh", "-c", "echo x > node_modules/x"),
    )
    assert [one.stdout for one in found[:3]] == [b"7\n", b"tool\n", b"dependency\n"], found
    assert found[3].exit_code


def _nothing(folder: Path) -> None:
    shutil.rmtree(folder)


def _file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


def _no_environment(folder: Path) -> None:
    (folder / "pyvenv.cfg").unlink()


def _no_interpreter(folder: Path) -> None:
    for name in ("python", "python3", VERSION):
        (folder / "bin" / name).unlink()
        (folder / "bin" / name).symlink_to("/usr/bin/python2.0")


def _no_program(folder: Path) -> None:
    shutil.rmtree(folder / "bin")
    (folder / "bin").mkdir()


def _no_home(folder: Path) -> None:
    (folder / "pyvenv.cfg").write_text("version = 3.11\n")


def _another_version(folder: Path) -> None:
    (folder / "lib" / VERSION).rename(folder / "lib/python3.1")


def _broken_interpreter(folder: Path) -> None:
    (folder.parent / "bin").mkdir()
    broken = folder.parent / "bin/python3"
    broken.write_text("#!/bin/false\n")
    broken.chmod(0o755)
    (folder / "bin/python").unlink()
    (folder / "bin/python").symlink_to(broken)


def _conda(folder: Path) -> None:
    (folder / "conda-meta").mkdir()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_nothing, "does not exist; name a virtual environment"),
        (_file, "is no folder; name a virtual environment"),
        (_no_environment, r"has neither pyvenv.cfg nor node_modules; name a virtual environment"),
        (_no_interpreter, "its interpreter '/usr/bin/python2.0' is missing; make it again: python3 -m venv"),
        (_no_program, "has no bin/python; make it again"),
        (_no_home, r"its pyvenv.cfg names no home; make it again"),
        (
            _another_version,
            "has packages for python3.1, and its interpreter is Python 3.* now",
        ),
        (_broken_interpreter, "bin/python3' does not run; make it again"),
        (_conda, "is made by conda, which is not supported; name a virtual environment"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    folder = tmp_path / "venv"
    make_venv(folder)
    spoil(folder)
    with (
        pytest.raises(InvalidInput, match=told) as error,
        UserFolder(folder, (), FolderCache(tmp_path / "cache", 1)).using(print),
    ):
        pass
    assert "\n" not in str(error.value)
    assert str(folder) in str(error.value)


def test_a_folder_that_is_committed_is_refused(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    make_venv(tmp_path / "env")
    used = UserFolder(tmp_path / "env", ["a.py", "env/pyvenv.cfg"], FolderCache(tmp_path / "cache", 1))
    with pytest.raises(InvalidInput, match="git rm -r --cached env"), used.using(print):
        pass


def test_its_hash_changes_with_what_is_installed(tmp_path: Path) -> None:
    packages = make_venv(tmp_path / "venv")
    used = UserFolder(tmp_path / "venv", (), FolderCache(tmp_path / "cache", 1))

    def seen() -> str:
        with used.using(lambda _: None) as prepared:
            return prepared.hash

    empty = seen()
    install(packages, "dependency", dependency="")
    one = seen()
    assert one == seen()
    (packages / "dependency-1.0.dist-info/RECORD").write_text("dependency.py,sha256=other,\n")
    assert len({empty, one, seen()}) == 3


def test_what_is_installed_from_elsewhere_is_told(tmp_path: Path) -> None:
    packages = make_venv(tmp_path / "venv")
    other = tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    (other / "foreign.py").write_text("")
    (packages / "other.pth").write_text(f"# comment\n\nimport os; os.abort()\n{other}\n./own\n")
    (packages / "own").mkdir()
    said: list[str] = []
    with UserFolder(tmp_path / "venv", ["thing.py"], FolderCache(tmp_path / "cache", 1)).using(said.append):
        pass
    assert said[0] == f"{other} is installed editable from outside of the repository: programs do not see it"


def test_scripts_that_name_their_interpreter_in_the_second_line(tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    make_venv(folder)
    (folder / "bin/long").write_text(
        f"#!/bin/sh\n'''exec' \"{folder}/bin/python3\" \"$0\" \"$@\"\n' '''\nprint(1)\n"
    )
    (folder / "bin/plain").write_text("#!/bin/sh\necho 1\n")
    with UserFolder(folder, (), FolderCache(tmp_path / "cache", 1)).using(lambda _: None) as prepared:
        scripts = Path(prepared.environment.mounts["/opt/environment/bin"])
        assert (scripts / "long").read_text() == (
            "#!/bin/sh\n'''exec' /opt/environment/python/venv/bin/python3 \"$0\" \"$@\"\n' '''\nprint(1)\n"
        )
        assert not (scripts / "plain").exists()
