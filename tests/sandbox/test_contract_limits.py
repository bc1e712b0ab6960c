"""The Sandbox port, by every backend: what a program may use up.

The other limits are probes, which `test_abuse` runs.
"""

from __future__ import annotations

from contracts.ports.sandbox import Sandbox, SandboxLimits
from tests.sandbox.probing import FAST, ask, python, run


async def test_one_great_block_ends_as_oom(sandbox: Sandbox) -> None:
    limits = SandboxLimits(memory_mb=128, wall_seconds=20)
    result = await python(sandbox, "print(len(bytearray(1 << 31)))", limits=limits)
    assert result.verdict == "oom"


async def test_memory_of_children_counts(sandbox: Sandbox) -> None:
    """A parent that survives and exits 0 does not hide it."""
    code = """
import subprocess, sys, time
child = "b = b'x' * 60_000_000; import time; time.sleep(30)"
children = [subprocess.Popen([sys.executable, "-c", child]) for _ in range(6)]
while all(c.poll() is None for c in children):
    time.sleep(0.01)
"""
    result = await python(sandbox, code, limits=SandboxLimits(memory_mb=128, wall_seconds=20))
    assert result.verdict == "oom"


async def test_shared_memory_counts(sandbox: Sandbox) -> None:
    code = "import mmap, time\narea = mmap.mmap(-1, 1 << 29)\nfor i in range(0, 1 << 29, 4096): area[i] = 1\n"
    result = await python(sandbox, code, limits=SandboxLimits(memory_mb=128, wall_seconds=20))
    assert result.verdict == "oom"


async def test_memory_that_is_shared_counts_once(sandbox: Sandbox) -> None:
    code = """
import os, time
block = b"x" * 80_000_000
for _ in range(4):
    if os.fork() == 0:
        time.sleep(0.5)
        os._exit(0)
for _ in range(4):
    os.wait()
"""
    result = await python(sandbox, code, limits=SandboxLimits(memory_mb=160, wall_seconds=20))
    assert result.verdict == "ok"


async def test_fork_bomb_is_bounded(sandbox: Sandbox) -> None:
    code = """
import os, time
made = 0
try:
    while made < 1000:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        made += 1
except BlockingIOError:
    pass
print(json.dumps(made))
"""
    limits = SandboxLimits(processes=40, wall_seconds=20, memory_mb=512)
    assert 30 <= await ask(sandbox, code, limits=limits) <= 40


async def test_orphans_are_reaped(sandbox: Sandbox) -> None:
    """Each leaves a grandchild behind; unless process 1 reaps them the limit would be reached."""
    code = """
import os, time
for i in range(200):
    for attempt in range(200):
        try:
            pid = os.fork()
            break
        except BlockingIOError:
            time.sleep(0.05)
    if pid == 0:
        try:
            os.fork()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
"""
    result = await python(sandbox, code, limits=SandboxLimits(processes=20, wall_seconds=30, memory_mb=256))
    assert result.verdict == "ok", result.stderr


async def test_a_giant_sparse_file_is_cut_short(sandbox: Sandbox) -> None:
    result = await run(sandbox, "truncate", "-s", "1T", "big")
    assert (result.verdict, result.exit_code) == ("failed", 128 + 25), "SIGXFSZ"


async def test_output_is_capped(sandbox: Sandbox) -> None:
    limits = SandboxLimits(output_bytes=100_000, wall_seconds=20)
    result = await run(sandbox, "yes", limits=limits)
    assert (result.verdict, result.exit_code) == ("output_limit", None)
    assert result.stdout == b"y\n" * 50_000
    code = "import os\nwhile True: os.write(1, b'o' * 5000); os.write(2, b'e' * 5000)"
    result = await python(sandbox, code, limits=limits)
    assert result.verdict == "output_limit"
    assert len(result.stdout) + len(result.stderr) == 100_000


async def test_output_at_the_cap_is_fine(sandbox: Sandbox) -> None:
    limits = SandboxLimits(output_bytes=1_000, wall_seconds=20)
    exact = await python(sandbox, "print('x' * 999)", limits=limits)
    assert (exact.verdict, len(exact.stdout)) == ("ok", 1_000)
    over = await python(sandbox, "print('x' * 1000)", limits=limits)
    assert (over.verdict, len(over.stdout)) == ("output_limit", 1_000)


async def test_limits_cannot_be_raised(sandbox: Sandbox) -> None:
    code = """
import resource
def lift(name):
    try:
        resource.setrlimit(getattr(resource, name), (resource.RLIM_INFINITY,) * 2)
    except (ValueError, OSError) as error:
        return "refused"
    return "lifted"
print(json.dumps([lift(name) for name in ("RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_FSIZE")]))
"""
    assert await ask(sandbox, code) == ["refused"] * 3


async def test_the_cheap_limits_are_not_hit_by_honest_programs(sandbox: Sandbox) -> None:
    code = """
import multiprocessing, tempfile, threading, sqlite3
with tempfile.TemporaryFile() as file:
    file.write(b"x" * 100_000)
with multiprocessing.Pool(2) as pool:
    total = sum(pool.map(abs, range(-100, 0)))
with sqlite3.connect("test.db") as database:
    database.execute("create table t (a)")
print(json.dumps(total))
"""
    assert await ask(sandbox, code, limits=FAST) == 5050
