"""Services of a workspace: started before the first command, kept between commands, within all limits."""

from __future__ import annotations

import pytest

from contracts.base.errors import EnvironmentFailed
from contracts.ports.workspace import Environment, Service
from tests.workspace.conftest import Opener, shell
from tests.workspace.test_abuse import ONE_EACH, PROGRAMS, OneCommand

pytestmark = pytest.mark.parametrize("place", ONE_EACH, indirect=True, ids="-".join)

COUNTING = """
import itertools, pathlib, time
print("ready", flush=True)
for n in itertools.count():
    pathlib.Path("/tmp/next").write_text(str(n))
    pathlib.Path("/tmp/next").rename("/tmp/count")
    time.sleep(0.01)
"""
BRIEF = """
import os, time
print("ready", flush=True)
while not os.path.exists("/tmp/go"):
    time.sleep(0.01)
print("bye", flush=True)
"""
SERVED = Environment(services=(Service("counter", ("python3", "-c", COUNTING), "ready"),))


async def test_a_service_goes_on_with_each_command_and_nothing_else_stays(opener: Opener) -> None:
    async with opener.open(environment=SERVED) as workspace:
        await shell(workspace, 1, "setsid sleep 97 & sleep 0.2; cp /tmp/count /tmp/seen")
        await workspace.write("a", b"written while it stands still")
        left = await shell(workspace, 2, "grep -l 'slee[p].97' /proc/[0-9]*/cmdline || true")
        assert left.stdout == b""
        await shell(workspace, 3, "sleep 0.2; test $(cat /tmp/seen) -lt $(cat /tmp/count)")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (
            "echo first; printf 'no \\033[31mluck' >&2; exit 3",
            r"it ended: first | no \x1b[31mluck; mend what",
        ),
        ("exit 0", "it ended: it printed nothing; mend what"),
    ],
)
async def test_one_that_does_not_start_is_told_in_one_line(opener: Opener, script: str, told: str) -> None:
    environment = Environment(services=(Service("broken", ("sh", "-c", script), "ready"),))
    with pytest.raises(EnvironmentFailed) as refused:
        async with opener.open(environment=environment):
            pass
    assert str(refused.value).startswith(f"service broken: {told}")


async def test_what_programs_put_in_the_place_of_its_log_is_not_opened(opener: Opener) -> None:
    environment = Environment(services=(Service("brief", ("python3", "-c", BRIEF), "ready"),))
    async with opener.open(environment=environment) as workspace:
        log = "/tmp/services/brief/log"
        ended = await shell(workspace, 1, f"rm {log}; mkfifo {log}; touch /tmp/go; sleep 0.3")
        assert b"service brief: ended, and is not there any more: ready | bye" in ended.stderr


HARD_TO_END = ("fork-bomb-daemons", "memory", "stopped", "zombies")


@pytest.mark.parametrize("name", HARD_TO_END)
async def test_misbehaviour_beside_a_service(opener: Opener, name: str) -> None:
    assert await PROGRAMS[name].attempt(OneCommand(opener, SERVED)) == ""
