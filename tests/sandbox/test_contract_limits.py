"""The Sandbox port, by every backend: what a program may use up."""

from __future__ import annotations

from contracts.ports import Sandbox, SandboxLimits
from tests.sandbox.probing import FAST, ask, python, run


async def test_memory_ends_as_oom(sandbox: Sandbox) -> None:
    code = "blocks = []\nwhile True:\n    blocks.append(b'x' * 8_000_000)"
    result = await python(sandbox, code, limits=SandboxLimits(memory_mb=128, wall_seconds=20))
    assert (result.verdict, result.exit_code) == ("oom", None)


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


async def test_reserved_but_unused_memory_is_free(sandbox: Sandbox) -> None:
    code = "import mmap; mmap.mmap(-1, 200 << 30, prot=0, flags=mmap.MAP_PRIVATE | 0x4000)"
    assert (await python(sandbox, code)).verdict in {"ok", "failed"}


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


async def test_threads_count_as_processes(sandbox: Sandbox) -> None:
    code = """
import threading
gate = threading.Event()
made = 0
try:
    while made < 1000:
        threading.Thread(target=gate.wait, daemon=True).start()
        made += 1
except RuntimeError:
    pass
print(json.dumps(made))
sys.stdout.flush()
os._exit(0)
"""
    limits = SandboxLimits(processes=40, wall_seconds=20, memory_mb=512)
    assert 30 <= await ask(sandbox, code, limits=limits) <= 40


async def test_many_zombies_do_not_hang(sandbox: Sandbox) -> None:
    code = """
import os
try:
    for _ in range(2000):
        if os.fork() == 0:
            os._exit(0)
except OSError:
    pass
"""
    result = await python(sandbox, code)
    assert result.verdict == "ok"


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


FILL = """
import errno
def fill(folder):
    written = 0
    try:
        for number in range(10_000):
            with open(f"{folder}/{number}", "wb") as file:
                written += file.write(b"x" * 500_000)
    except OSError as error:
        return [errno.errorcode[error.errno], written]
print(json.dumps({folder: fill(folder) for folder in ("/work", "/tmp", "/dev/shm")}))
"""


async def test_the_disk_is_small(sandbox: Sandbox) -> None:
    limits = SandboxLimits(disk_mb=8, wall_seconds=20, memory_mb=256)
    for reason, written in (await ask(sandbox, FILL, limits=limits)).values():
        assert reason == "ENOSPC"
        assert written <= 8 * 1024 * 1024


async def test_inodes_are_few(sandbox: Sandbox) -> None:
    code = """
import errno
def fill(folder):
    try:
        for number in range(100_000):
            open(f"{folder}/{number}", "w").close()
    except OSError as error:
        return [errno.errorcode[error.errno], number]
print(json.dumps([fill("/work"), fill("/tmp"), fill("/dev/shm")]))
"""
    seen = await ask(sandbox, code, limits=SandboxLimits(file_count=100, wall_seconds=20))
    for reason, number in seen:
        assert reason == "ENOSPC"
        assert number <= 256


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


async def test_open_files_are_few(sandbox: Sandbox) -> None:
    code = """
files = []
try:
    while len(files) < 5000:
        files.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    print(json.dumps([error.strerror, len(files)]))
"""
    reason, count = await ask(sandbox, code)
    assert reason == "Too many open files"
    assert count < 256


async def test_no_core_dumps(sandbox: Sandbox) -> None:
    code = "import os, resource; print(resource.getrlimit(resource.RLIMIT_CORE)); os.abort()"
    result = await python(
        sandbox, "import sys; sys.stdout.reconfigure(line_buffering=True)\n" + code, collect=("core",)
    )
    assert result.stdout == b"(0, 0)\n"
    assert (result.verdict, result.files) == ("failed", {})


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


async def test_cpu_is_limited(sandbox: Sandbox) -> None:
    """Two threads of work on one CPU get the time of one."""
    code = """
import subprocess, time
burn = "import time\\nend = time.monotonic() + 1\\nwhile time.monotonic() < end: pass\\n"
burn += "print(time.process_time())"
children = [subprocess.Popen([sys.executable, "-c", burn], stdout=subprocess.PIPE) for _ in range(2)]
print(json.dumps(sum(float(child.communicate()[0]) for child in children)))
"""
    limits = SandboxLimits(cpus=1.0, wall_seconds=20, memory_mb=256)
    assert await ask(sandbox, code, limits=limits) < 1.35


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
