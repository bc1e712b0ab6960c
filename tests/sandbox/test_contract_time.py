"""The Sandbox port, by every backend: a program ends in time, whatever it does about it.

The other ways not to end are probes, which `test_abuse` runs.
"""

from __future__ import annotations

import time

from contracts.ports.sandbox import Sandbox, SandboxLimits
from tests.sandbox.probing import python

SHORT = SandboxLimits(wall_seconds=1.0, memory_mb=256)
KILL_SECONDS = 2.0  # a program is gone this long after its limit, at the latest


async def _ends_in_time(sandbox: Sandbox, code: str) -> None:
    before = time.monotonic()
    result = await python(sandbox, code, limits=SHORT)
    took = time.monotonic() - before
    assert (result.verdict, result.exit_code) == ("timeout", None), (result.stdout, result.stderr)
    assert SHORT.wall_seconds <= result.seconds <= SHORT.wall_seconds + KILL_SECONDS
    assert took < SHORT.wall_seconds + KILL_SECONDS + 8, "start and removal included"


async def test_output_before_the_end_is_kept(sandbox: Sandbox) -> None:
    result = await python(sandbox, "import time; print('so far', flush=True); time.sleep(60)", limits=SHORT)
    assert (result.verdict, result.stdout) == ("timeout", b"so far\n")


async def test_wild_fork_bomb_ends(sandbox: Sandbox) -> None:
    code = (
        "import os\nwhile True:\n    try:\n        if os.fork() == 0: os.setsid()\n    except OSError: pass"
    )
    await _ends_in_time(sandbox, code)
