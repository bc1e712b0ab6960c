"""What a repository needs is read from its files, and nothing of it is believed but names and versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput
from contracts.documents.repository_settings import NO_SETTINGS
from sandbox_runner.environments.interpreters import Interpreter
from sandbox_runner.environments.needs.choosing import choose_interpreter, find_interpreters
from sandbox_runner.environments.needs.core_metadata import needs_of_metadata
from sandbox_runner.environments.needs.python_needs import PythonNeeds, python_needs
from sandbox_runner.environments.needs.requirement_lines import clean, read_requirements
from sandbox_runner.environments.needs.said import said_settings
from sandbox_runner.environments.needs.wanted import wanted_paths

HASH = "sha256:" + "0" * 64


def read(**files: str) -> PythonNeeds:
    """What files say; `__` in a name stands for a dot."""
    found = python_needs({name.replace("__", "."): text.encode() for name, text in files.items()})
    assert found is not None
    return found


def test_a_project_with_the_extras_that_its_tests_need() -> None:
    needs = read(
        pyproject__toml="""
        [build-system]
        requires = ["hatchling"]
        [project]
        name = "My.Package"
        requires-python = ">=3.11"
        dependencies = ["a>=1", "b; python_version < '3.12'"]
        optional-dependencies = { tests = ["c", "my_package[more]"], more = ["d"], dev = ["e"], docs = ["f"] }
        """
    )
    assert needs.lines == ("a>=1", 'b; python_version < "3.12"', "c", "d")
    assert (needs.extras, needs.build, needs.requires_python) == (("tests", "more"), ("hatchling",), ">=3.11")
    assert (needs.asks_the_build, needs.read) == (False, ("pyproject.toml",))


def test_groups_include_groups_and_dev_is_taken_where_nothing_is_for_tests() -> None:
    needs = read(
        pyproject__toml="""
        [dependency-groups]
        lint = ["ruff"]
        base = ["a"]
        dev = [{include-group = "base"}, "b"]
        """
    )
    assert (needs.lines, needs.build) == (("a", "b"), None)
    with pytest.raises(InvalidInput, match="dependency group 'test' includes itself"):
        read(pyproject__toml="[dependency-groups]\ntest = [{include-group = 'test'}]")


@pytest.mark.parametrize(
    ("named", "lines"), [("['docs']", ("a", "c")), ("'all'", ("a", "c", "d")), ("3", ("a",))]
)
def test_the_default_groups_of_uv_are_tools_as_well(named: str, lines: tuple[str, ...]) -> None:
    groups = "[dependency-groups]\ntest = ['a']\ndocs = ['c']\nlint = ['d']\n"
    needs = read(pyproject__toml=f"{groups}[tool.uv]\ndefault-groups = {named}\n")
    assert (needs.lines, needs.optional) == (lines, lines[1:])


@pytest.mark.parametrize(
    ("files", "asks", "lines"),
    [
        ({"pyproject.toml": "[build-system]\n[project]\ndynamic = ['dependencies']"}, True, ()),
        (
            {"pyproject.toml": "[build-system]\n[project]\ndynamic = ['version']\ndependencies = ['a']"},
            False,
            ("a",),
        ),
        ({"pyproject.toml": "[build-system]\n[tool.poetry.dependencies]\na = '^1'"}, True, ()),
        ({"setup.py": "raise SystemExit"}, True, ()),
        (
            {"setup.py": "", "setup.cfg": "[options]\ninstall_requires =\n  a\n  # no\n  b>1"},
            False,
            ("a", "b>1"),
        ),
        ({"setup.cfg": "[metadata]\nname = x\n[options]\ninstall_requires = a\n"}, False, ("a",)),
        ({"requirements.txt": "a"}, False, ("a",)),
    ],
)
def test_only_a_build_can_say_what_no_file_says(
    files: dict[str, str], asks: bool, lines: tuple[str, ...]
) -> None:
    needs = python_needs({path: text.encode() for path, text in files.items()})
    assert needs is not None
    assert (needs.asks_the_build, needs.lines) == (asks, lines)
    assert (needs.build is None) == (files.keys() == {"requirements.txt"})


def test_extras_of_setup_cfg() -> None:
    text = "[options]\ninstall_requires = a\n[options.extras_require]\ntesting =\n  b\n  c\n"
    assert read(setup__cfg=text).lines == ("a", "b", "c")


def test_a_repository_that_says_nothing_needs_nothing() -> None:
    assert python_needs({}) is None
    assert python_needs({"notes.txt": b"requests", "pyproject.toml": b"[tool.ruff]\n"}) is None


def test_requirements_follow_their_references() -> None:
    files = {
        "requirements.txt": b"-r requirements/base.txt\n-c requirements/pins.txt\n-e .[extra]\n",
        "requirements/base.txt": f"\ufeffa==1 \\\n  --hash={HASH} # why\n-r ../requirements.txt\n".encode(),
        "requirements/pins.txt": b"b<2\n",
        "requirements/test.txt": b"c\n",
        "requirements/docs.txt": b"d\n",
        "requirements-dev.txt": b"e\n",
    }
    needs = python_needs(files)
    assert needs is not None
    assert needs.lines == ("c", f"a==1 --hash={HASH}")
    assert (needs.constraints, needs.extras) == (("b<2",), ("extra",))
    assert needs.read == (
        "requirements.txt",
        "requirements/test.txt",
        "requirements/base.txt",
        "requirements/pins.txt",
    )


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://elsewhere/${TOKEN}",
        "-i https://elsewhere",
        "--extra-index-url=https://elsewhere",
        "--find-links ../..",
        "--trusted-host elsewhere",
        "--pre",
        "--no-binary :all:",
        "git+https://elsewhere/x.git",
        "x @ https://elsewhere/x-1-py3-none-any.whl",
        "x @ file:///etc/passwd",
        "./folder",
        "-e ../other",
        "/etc/passwd",
        "x --config-settings=a=b",
        "x --global-option=y",
        "x\u202e",
    ],
)
def test_where_packages_come_from_is_not_up_to_the_repository(line: str) -> None:
    found = read_requirements({"r.txt": f"a\n{line}\n".encode()}, ["r.txt"])
    assert found.lines == ["a"]
    assert found.left_out == [line]


def test_references_stay_within_the_tree() -> None:
    found = read_requirements({"r.txt": b"-r ../../etc/passwd\n-c /etc/passwd\n-r missing.txt\n"}, ["r.txt"])
    assert found.left_out == [
        "../../etc/passwd (no such file)",
        "/etc/passwd (no such file)",
        "missing.txt (no such file)",
    ]


def test_many_files_and_loops_end() -> None:
    files = {f"{n}.txt": f"-r {n + 1}.txt\n-r 0.txt\np{n}".encode() for n in range(1_000)}
    assert len(read_requirements(files, ["0.txt"]).lines) == 100


def test_a_requirement_is_given_on_with_its_hashes_alone() -> None:
    assert clean(f"a [x]>=1 --hash {HASH}") == f"a[x]>=1 --hash={HASH}"
    assert clean("a --hash=md5:0") is None


@pytest.mark.parametrize("path", ["pyproject.toml", "setup.cfg"])
def test_a_broken_file_is_told(path: str) -> None:
    with pytest.raises(InvalidInput, match=f"{path} of the repository cannot be read"):
        python_needs({path: b"a = [\n"})


def test_paths_that_are_read() -> None:
    paths = [
        "pyproject.toml",
        "sub/pyproject.toml",
        "requirements/a.txt",
        "a/b/c/d.txt",
        "README.md",
        "uv.lock",
    ]
    assert wanted_paths(paths) == ["pyproject.toml", "requirements/a.txt", "uv.lock"]


def test_core_metadata_gives_what_an_extra_needs() -> None:
    metadata = {
        "provides_extra": ["test", "doc"],
        "requires_dist": [
            "a>1",
            "b; python_version < '3.12'",
            "c; extra == 'test'",
            "d; extra == 'doc'",
            "e @ https://elsewhere/e.whl",
            "no requirement !",
        ],
    }
    assert needs_of_metadata(metadata, (), "3.11.4") == ("a>1", "b", "c")
    assert needs_of_metadata(metadata, ("doc",), "3.12.1") == ("a>1", "d")
    assert needs_of_metadata({}, (), "3.12.1") == ()
    unread = ["e; os_name ~= 'x'", "f; python_version > 'abc'", "g >"]
    assert needs_of_metadata({"requires_dist": [*unread, "h"]}, (), "3.12.1") == ("h",)


def _known(*versions: str) -> list[Interpreter]:
    return [Interpreter(Path(f"/python{version}"), version, "linux-x86_64") for version in versions]


@pytest.mark.parametrize(
    ("requires", "preferred", "chosen", "why"),
    [
        ("", "", "3.11.7", "which runs this program"),
        (">=3.11", "", "3.11.7", "which runs this program, as it requires >=3.11"),
        (">=3.12", "", "3.14.0", "the newest that fits, as it requires >=3.12"),
        (">=3.9,<3.13", "3.12", "3.12.4", r"which .python-version names"),
        ("", "cpython@3.12.4", "3.12.4", r"which .python-version names"),
        ("", "3.1", "3.11.7", r"this program; .python-version names 3.1, which is not there"),
    ],
)
def test_which_interpreter_is_chosen_and_why(requires: str, preferred: str, chosen: str, why: str) -> None:
    found = choose_interpreter(requires, preferred, _known("3.11.7", "3.14.0", "3.12.4"))
    assert found.interpreter.version == chosen
    assert why in found.reason


def test_those_of_pyenv_are_found_where_its_shim_runs_none(tmp_path: Path) -> None:
    (tmp_path / "shims").mkdir()
    shim = tmp_path / "shims/python3.12"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2; exit 127\n")
    for version in ("3.12.1", "3.12.10"):
        program = tmp_path / f"versions/{version}/bin/python3.12"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\nprintf '{version}\\n/base\\nlinux-x86_64\\n'\n")
        program.chmod(0o755)
    shim.chmod(0o755)
    found = find_interpreters(tmp_path / "own", str(tmp_path / "shims"))
    assert [one.version for one in found] == ["3.12.10", "3.12.1"]


def test_no_interpreter_fits() -> None:
    with pytest.raises(InvalidInput, match=r"needs Python >=3.13, and this machine has 3.11.7, 3.12.4"):
        choose_interpreter(">=3.13", "", _known("3.11.7", "3.12.4"))
    with pytest.raises(InvalidInput, match="requires-python of the repository is 'three'"):
        choose_interpreter("three", "", _known("3.11.7"))


async def test_the_set_up_command_is_that_of_the_repository_s_settings() -> None:
    project = b"[tool.multi-agent]\nsetup = \"make it 'all of it'\"\n"
    assert (await said_settings({"pyproject.toml": project})).setup == "make it 'all of it'"
    both = {"pyproject.toml": project, ".multi-agent.toml": b'setup = "own"'}
    assert (await said_settings(both)).setup == "own"
    assert (await said_settings({"pyproject.toml": project, ".multi-agent.toml": b""})).setup is None
    assert await said_settings({}) == NO_SETTINGS
    with pytest.raises(InvalidInput, match=r"^.multi-agent.toml: setup is .*; set it to a command line"):
        await said_settings({".multi-agent.toml": b"setup = ['a']"})
