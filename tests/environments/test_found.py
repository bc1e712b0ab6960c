"""What a repository asks for is fetched without running anything, and built without a network."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.base.errors import Busy, EnvironmentFailed, InvalidInput
from multi_agent.application.environments import list_environments, prepare_repository, remove_environment
from sandbox_runner.environments.found import FoundEnvironments, MakingSettings
from sandbox_runner.local.toolbox import interpreter
from tests.environments.conftest import Place
from tests.environments.package_index import PackageIndex, serving
from tests.environments.test_uv_lock import lock_of

pytestmark = pytest.mark.parametrize("backend", ["bubblewrap"], indirect=True)

# A build system within the repository: it writes a file, as many do, and an editable install.
BACKEND = """
import pathlib, subprocess, zipfile
REQUIRES = %r
def get_requires_for_build_editable(config=None): return []
def prepare_metadata_for_build_wheel(folder, config=None):
    about = pathlib.Path(folder, "thing-1.0.dist-info")
    about.mkdir()
    text = "Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n"
    (about / "METADATA").write_text(text + "".join(f"Requires-Dist: {one}\\n" for one in REQUIRES))
    return about.name
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
def build_editable(folder, config=None, metadata=None):
    version = subprocess.run(["git", "describe", "--tags"], capture_output=True, text=True).stdout.strip()
    pathlib.Path("src/thing/_version.py").write_text(f"version = {version!r}\\n")
    files = {
        "thing.pth": str(pathlib.Path("src").resolve()) + "\\n",
        "thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n",
        "thing-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "thing-1.0.dist-info/entry_points.txt": "[console_scripts]\\nthing = thing:main\\n",
    }
    files["thing-1.0.dist-info/RECORD"] = "".join(f"{path},,\\n" for path in files)
    with zipfile.ZipFile(pathlib.Path(folder, "thing-1.0-py3-none-any.whl"), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return "thing-1.0-py3-none-any.whl"
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "thing"
version = "1.0"
dependencies = ["dependency"]
optional-dependencies = {{ test = ["pytest"] }}
{more}
"""
THING = """
from ._version import version
import dependency
def main(): print(version, dependency.VALUE, __file__)
"""


def files(more: str = "", requires: tuple[str, ...] = ()) -> dict[str, str]:
    """A repository with a build of its own."""
    return {
        "pyproject.toml": PROJECT.format(more=more),
        "backend.py": BACKEND % (requires,),
        "src/thing/__init__.py": THING,
        ".gitignore": "_version.py\n",
    }


SOURCE_BACKEND = """
import pathlib, zipfile
def build_wheel(folder, config=None, metadata=None):
    pathlib.Path({touching!r}).write_text("built")
    about = "dependency-1.0.dist-info"
    files = {{
        "dependency.py": "VALUE = 7\\n",
        about + "/METADATA": "Metadata-Version: 2.1\\nName: dependency\\nVersion: 1.0\\n",
        about + "/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    files[about + "/RECORD"] = "".join(f"{{path}},,\\n" for path in [*files, about + "/RECORD"])
    with zipfile.ZipFile(pathlib.Path(folder, "dependency-1.0-py3-none-any.whl"), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return "dependency-1.0-py3-none-any.whl"
"""


def source(touching: str) -> bytes:
    """The source of a package, whose build writes a file."""
    project = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    texts = {"pyproject.toml": project, "backend.py": SOURCE_BACKEND.format(touching=touching)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, text in texts.items():
            member = tarfile.TarInfo(f"dependency-1.0/{path}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    """A package index with what the repository needs."""
    with serving() as serves:
        serves.add("dependency", dependency="VALUE = 7\n")
        serves.add("pytest", pytest="print('own pytest')\n")
        yield serves


def environments(place: Place, index: PackageIndex) -> FoundEnvironments:
    """The port, whose pip asks this index alone."""
    variables = {
        "PATH": os.defpath,
        "HOME": str(place.repository.parent),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.url,
    }
    settings = MakingSettings(interpreter(), os.defpath, variables, seconds=200)
    return FoundEnvironments(place.store.trees(), place.workspaces, place.cache, settings)


async def refused(place: Place, found: FoundEnvironments) -> str:
    """What is told of an environment that cannot be made; nothing is kept of it."""
    commit = await place.store.import_base(place.repository)
    with pytest.raises((EnvironmentFailed, InvalidInput)) as error:
        async with found.prepare(commit, place.said.append):
            pass
    assert list_environments(place.cache) == []
    assert "\n" not in str(error.value)
    return str(error.value)


async def test_what_is_needed_is_there_and_the_tree_is_imported(place: Place, index: PackageIndex) -> None:
    place.write(files("[tool.multi-agent]\nsetup = \"sh -c 'echo made > made.txt'\""))
    place.tag("v1.2")
    found = environments(place, index)
    told, imported, made, touched = await place.run(
        found, ("thing",), ("python", "-m", "pytest"), ("cat", "made.txt"), ("sh", "-c", "> $VIRTUAL_ENV/x")
    )
    assert (told.stdout, told.stderr) == (b"v1.2 7 /work/src/thing/__init__.py\n", b"")
    assert imported.stdout == b"own pytest\n"
    assert made.stdout == b"made\n"
    assert b"Read-only" in touched.stderr
    assert place.said[0].startswith("environment from pyproject.toml: Python 3.")
    assert place.said[1:] == [
        "fetching 2 requirements, and what they need",
        "building the environment from 2 packages, without a network",
    ]
    # What the task does to the tree is what is imported, and the next one finds the environment.
    place.said.clear()
    index.files.clear()
    script = "echo 'main = lambda: print(8)' > src/thing/__init__.py; thing; git checkout -q ."
    changed, *_ = await place.run(found, ("sh", "-c", script))
    assert changed.stdout == b"8\n"
    assert len(place.said) == 1


async def test_a_source_without_a_wheel_is_built_inside(place: Place, index: PackageIndex) -> None:
    del index.files["dependency-1.0-py3-none-any.whl"]
    index.files["dependency-1.0.tar.gz"] = source(touching="/tmp/built-here")
    place.write(files() | {"requirements.txt": "other\n"})
    index.add("other", requires=("dependency>=1",), other="")
    built_outside = Path("/tmp/built-here").exists
    (told,) = await place.run(environments(place, index), ("thing",))
    assert told.stdout.endswith(b" 7 /work/src/thing/__init__.py\n")
    assert not await asyncio.to_thread(built_outside)
    assert "building dependency-1.0.tar.gz, which there is no wheel of, without a network" in place.said


async def test_a_source_that_cannot_be_built_is_told(place: Place, index: PackageIndex) -> None:
    del index.files["dependency-1.0-py3-none-any.whl"]
    place.write(files())
    told = await refused(place, environments(place, index))
    assert told.startswith("environment, step fetch: no wheel of 'dependency' for Python 3.")
    assert told.endswith("or name a folder of yours with --environment DIR")
    index.files["dependency-1.0.tar.gz"] = source(touching="/nowhere/at/all")
    told = await refused(place, environments(place, index))
    assert told.startswith("environment, step source: exit code 1: ")
    assert "/nowhere/at/all" in told
    index.files["dependency-1.0.tar.gz"] = b"no archive"
    told = await refused(place, environments(place, index))
    assert "step fetch: dependency-1.0.tar.gz cannot be read: not a gzip file; name a folder" in told


async def test_a_wheel_for_another_machine_does_not_fit(place: Place, index: PackageIndex) -> None:
    content = index.files.pop("dependency-1.0-py3-none-any.whl")
    index.files["dependency-1.0-cp311-cp311-win_amd64.whl"] = content
    place.write(files())
    assert "step fetch: no wheel of 'dependency' for Python 3." in await refused(
        place, environments(place, index)
    )


async def test_what_only_requirements_name_is_left_out_where_there_is_no_wheel(
    place: Place, index: PackageIndex
) -> None:
    index.files["Docs_Tool-2.0.tar.gz"] = b"never opened"
    place.write(files() | {"requirements.txt": "Docs_Tool==2.0\n"})
    (told,) = await place.run(environments(place, index), ("thing",))
    assert told.stdout.endswith(b"7 /work/src/thing/__init__.py\n")
    (listed,) = list_environments(place.cache)
    assert listed.name.startswith("pyproject.toml without Docs_Tool==2.0, Python 3.")


async def test_versions_that_conflict_are_named(place: Place, index: PackageIndex) -> None:
    index.add("other", requires=("dependency>1",))
    place.write(files() | {"requirements.txt": "other\n"})
    assert "need different versions of a package" in await refused(place, environments(place, index))


async def test_requirements_do_not_say_where_packages_come_from(place: Place, index: PackageIndex) -> None:
    with serving() as elsewhere:
        elsewhere.add("dependency", dependency="VALUE = 'not asked for'\n")
        lines = f"--index-url {elsewhere.url}\n--extra-index-url {elsewhere.url}\ndependency\n"
        place.write({"requirements.txt": lines})
        (told,) = await place.run(
            environments(place, index), ("python", "-c", "import dependency; print(dependency.VALUE)")
        )
        assert told.stdout == b"7\n", told.stderr
        assert elsewhere.asked == []
    assert place.said[1].startswith("left out, as only names with versions are fetched: --index-url")


async def test_only_the_build_knows_and_is_asked_without_a_network(place: Place, index: PackageIndex) -> None:
    index.add("deep", deep="VALUE = 1\n")
    index.add("dependency", requires=("deep",), dependency="import deep\nVALUE = deep.VALUE\n")
    project = 'dynamic = ["dependencies"]\n'
    written = files(requires=("dependency",))
    written["pyproject.toml"] = PROJECT.format(more=project).replace('dependencies = ["dependency"]\n', "", 1)
    place.write(written)
    place.tag("v2")
    (told,) = await place.run(environments(place, index), ("thing",))
    assert told.stdout == b"v2 1 /work/src/thing/__init__.py\n", told.stderr
    assert "asking the repository's build what it needs, without a network" in place.said


@pytest.mark.parametrize(
    ("setup", "told"),
    [
        (
            r"sh -c 'echo first; printf \"\\033[31mred\" >&2; exit 3'",
            "step setup: exit code 3: first | \\x1b[31mred; mend",
        ),
        ("nowhere", "step setup: exit code 127"),
    ],
)
async def test_a_set_up_that_fails_is_told(place: Place, index: PackageIndex, setup: str, told: str) -> None:
    place.write({"requirements.txt": "dependency\n", ".multi-agent.toml": f'setup = "{setup}"\n'})
    assert told in await refused(place, environments(place, index))


async def test_a_build_that_fails_is_told(place: Place, index: PackageIndex) -> None:
    place.write(files() | {"backend.py": "raise RuntimeError('broken on purpose')\n"})
    told = await refused(place, environments(place, index))
    assert told.startswith("environment, step build: exit code 1: ")
    assert told.endswith("mend the repository's build, or name a folder of yours with --environment DIR")


async def test_the_build_has_no_network(place: Place, index: PackageIndex) -> None:
    code = f"import urllib.request; urllib.request.urlopen('{index.url}').read()"
    place.write(
        {"requirements.txt": "dependency\n", "a.py": code, ".multi-agent.toml": 'setup = "python a.py"'}
    )
    assert "Connection refused" in await refused(place, environments(place, index))


async def test_two_that_want_one_environment_build_it_once(place: Place, index: PackageIndex) -> None:
    place.write({"requirements.txt": "dependency\n"})
    found = environments(place, index)
    prepared = await asyncio.gather(
        *(prepare_repository(place.store, found, place.repository, place.said.append) for _ in range(2))
    )
    assert len({one.line for one in prepared if one}) == 1
    assert [line.split()[0] for line in place.said].count("building") == 1


async def test_who_stops_waiting_leaves_nothing(place: Place, index: PackageIndex) -> None:
    place.write({"requirements.txt": "dependency\n", ".multi-agent.toml": 'setup = "sleep 300"'})
    began = asyncio.Event()

    def say(line: str) -> None:
        if line.startswith("building"):
            began.set()

    found = environments(place, index)
    waiting = asyncio.create_task(prepare_repository(place.store, found, place.repository, say))
    async with asyncio.timeout(60):
        await began.wait()
        waiting.cancel()
        await asyncio.wait({waiting})
    assert waiting.cancelled()
    assert list_environments(place.cache) == []
    assert not [entry for entry in place.cache.entries() if entry.name.startswith("built-")]


async def test_kept_ones_are_listed_and_removed_unless_used(place: Place, index: PackageIndex) -> None:
    place.write({"requirements.txt": "dependency\n"})
    found = environments(place, index)
    commit = await place.store.import_base(place.repository)
    async with found.prepare(commit, place.said.append) as prepared:
        assert prepared is not None
        (listed,) = list_environments(place.cache)
        assert (listed.hash, listed.packages) == (prepared.hash, 2)
        assert prepared.name == f"requirements.txt, Python {interpreter_version()}, 2 packages"
        with pytest.raises(Busy, match="is in use"):
            remove_environment(place.cache, listed.id)
    for wrong in ("0000000", listed.hash[:3]):
        with pytest.raises(InvalidInput, match=f"is none; name one of: {listed.id}"):
            remove_environment(place.cache, wrong)
    assert remove_environment(place.cache, listed.id).hash == prepared.hash
    assert list_environments(place.cache) == []


async def test_a_repository_that_needs_nothing_gets_nothing(place: Place, index: PackageIndex) -> None:
    found = environments(place, index)
    place.write({"a.py": ""})
    assert await prepare_repository(place.store, found, place.repository, place.said.append) is None
    place.write({"package.json": "{}"})
    assert await prepare_repository(place.store, found, place.repository, place.said.append) is None
    place.write({"yarn.lock": ""})
    assert await prepare_repository(place.store, found, place.repository, place.said.append) is None
    assert place.said == [
        "package.json is there without package-lock.json: its packages are not fetched",
        "yarn.lock of Yarn is not read: its packages are not fetched; install them with Yarn, and name the "
        "folder with --environment DIR",
    ]
    assert index.asked == []


async def test_versions_and_hashes_are_those_of_uv_lock(place: Place, index: PackageIndex) -> None:
    index.add("deep", deep="")
    index.add("tool", tool="")
    lock = lock_of({"dependency": ("deep", "pytest"), "deep": (), "pytest": ()}, index.files)
    place.write(
        files() | {"uv.lock": lock, "requirements.txt": "tool\n", "tox.ini": "[testenv]\ndeps = pytest\n"}
    )
    found = environments(place, index)
    told, deep = await place.run(found, ("thing",), ("python", "-c", "import deep, tool"))
    assert told.stdout.endswith(b" 7 /work/src/thing/__init__.py\n"), told.stderr
    assert deep.exit_code == 0, deep.stderr
    assert "versions and hashes of 3 packages are those of uv.lock" in place.said
    (listed,) = list_environments(place.cache)
    assert listed.name.startswith("uv.lock, Python 3.")


async def test_another_content_than_uv_lock_has_is_refused(place: Place, index: PackageIndex) -> None:
    locked = {**index.files, "dependency-1.0-py3-none-any.whl": b"another"}
    place.write(files() | {"uv.lock": lock_of({"dependency": ("pytest",), "pytest": ()}, locked)})
    told = await refused(place, environments(place, index))
    assert "step fetch: what the index has of dependency is another content than the lock's" in told
    index.files["dependency-1.0.tar.gz"] = source(touching="/tmp/built-here")
    del index.files["dependency-1.0-py3-none-any.whl"]
    told = await refused(place, environments(place, index))
    assert "dependency-1.0.tar.gz has another content than its lock says" in told


async def test_a_source_that_uv_lock_names_is_built_inside(place: Place, index: PackageIndex) -> None:
    del index.files["dependency-1.0-py3-none-any.whl"]
    index.files["dependency-1.0.tar.gz"] = source(touching="/tmp/built-here")
    place.write(files() | {"uv.lock": lock_of({"dependency": ("pytest",), "pytest": ()}, index.files)})
    (told,) = await place.run(environments(place, index), ("thing",))
    assert told.stdout.endswith(b" 7 /work/src/thing/__init__.py\n"), told.stderr
    assert "versions and hashes of 2 packages are those of uv.lock" in place.said


async def test_a_lock_that_does_not_fit_is_told(place: Place, index: PackageIndex) -> None:
    place.write({"requirements.txt": "dependency\n", "uv.lock": "version = 1\n"})
    index.files.clear()
    await refused(place, environments(place, index))
    told = "uv.lock is not used, as it has no package of this folder: versions are resolved"
    assert any(line.startswith(told) for line in place.said)


def interpreter_version() -> str:
    """Of the Python that runs this."""
    return ".".join(map(str, sys.version_info[:3]))
