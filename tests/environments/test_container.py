"""Environments of this machine in a container: used where its libraries fit, else refused in one line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.base.errors import NotConfigured
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import Environment
from sandbox_runner.environments.services.postgresql import find_postgresql
from tests.environments.conftest import LIMITS, Place
from tests.environments.package_index import PackageIndex, serving
from tests.environments.test_found import environments as found_environments
from tests.environments.test_found import files
from tests.environments.test_services import prepared
from tests.environments.test_user_folder import TREE, environments, install, make_venv

pytestmark = pytest.mark.parametrize("backend", ["docker"], indirect=True)


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    """A package index with what the repository needs."""
    with serving() as serves:
        serves.add("dependency", dependency="VALUE = 7\n")
        serves.add("pytest", pytest="print('own pytest')\n")
        yield serves


async def test_a_users_folder_is_used(place: Place) -> None:
    place.write(TREE)
    folder = place.repository / ".venv"
    install(make_venv(folder), "dependency", dependency="VALUE = 7\n")
    show = "import dependency, sys; print(dependency.VALUE, sys.prefix)"
    told, touched = await place.run(
        environments(place, folder), ("python", "-c", show), ("sh", "-c", "> $VIRTUAL_ENV/x")
    )
    assert told.stdout == b"7 /opt/environment/python/venv\n", told.stderr
    assert b"Read-only" in touched.stderr


async def test_one_is_built_and_used(place: Place, index: PackageIndex) -> None:
    place.write(files())
    place.tag("v1.2")
    (told,) = await place.run(found_environments(place, index), ("thing",))
    assert told.stdout == b"v1.2 7 /work/src/thing/__init__.py\n", told.stderr


async def test_a_program_that_does_not_run_there_is_told_in_one_line(place: Place) -> None:
    place.write({"a.py": "", ".multi-agent.toml": "services = ['postgresql']\n"})
    async with prepared(place) as (base, found):
        await _refused(place, base, found.environment, str(find_postgresql("", 1.0).server))
    elsewhere = "/opt/x/bin/python"
    await _refused(place, base, Environment(host_programs=((elsewhere, "-c", ""),)), elsewhere)


async def _refused(place: Place, base: TreeBase, environment: Environment, program: str) -> None:
    with pytest.raises(NotConfigured) as told:
        await place.workspaces.open(base, environment, LIMITS)
    assert str(told.value).startswith(
        f"{program} of this machine does not run in the container: {program}: No such file or directory; set "
    )
    assert str(told.value).endswith("or set MULTI_AGENT_ENVIRONMENT=none to go without it")
