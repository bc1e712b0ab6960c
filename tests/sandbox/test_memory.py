"""The Sandbox port, by every backend: programs that do much within their limit notice nothing of it.

Those that take more than they may are probes (`sandbox_runner/probes/hoarding.py`).
"""

from __future__ import annotations

import shutil

import pytest

from contracts.ports.sandbox import Sandbox, SandboxLimits
from tests.sandbox.probing import python, run
from tests.support import need

LIMITS = SandboxLimits(memory_mb=160, wall_seconds=20, processes=40, disk_mb=64)

# Name -> program. Each asserts that it got what it asked for.
HONEST = {
    "children of a large program": """
import subprocess, sys
block = b"x" * 110_000_000
for _ in range(20):
    assert subprocess.run([sys.executable, "-S", "-c", "pass"]).returncode == 0
    assert subprocess.run(["true"], close_fds=False).returncode == 0
    assert os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1] == 0
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
""",
    "shared memory": """
import mmap, multiprocessing
from multiprocessing import shared_memory
pages = [mmap.mmap(-1, 4096) for _ in range(60)]
areas = [mmap.mmap(-1, 1 << 20) for _ in range(8)]
sparse = mmap.mmap(-1, 1 << 30)
reserved = mmap.mmap(-1, 1 << 33, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=0)
for one in (*pages, *areas, sparse):
    one[0] = 1
def work(name):
    block = shared_memory.SharedMemory(name)
    block.buf[:8] = b"12345678"
    block.close()
block = shared_memory.SharedMemory(create=True, size=8_000_000)
for _ in range(4):
    child = multiprocessing.get_context("fork").Process(target=work, args=(block.name,))
    child.start(); child.join()
    assert child.exitcode == 0
assert bytes(block.buf[:8]) == b"12345678"
block.close(); block.unlink()
with multiprocessing.Pool(4) as pool:
    assert pool.map(abs, range(-100, 0)) == list(range(100, 0, -1))
""",
    "a program that hides": """
import ctypes, subprocess
libc = ctypes.CDLL(None)
assert libc.prctl(4, 0, 0, 0, 0) == 0
assert libc.prctl(3, 0, 0, 0, 0) == 0
for at in range(30):
    ends = [os.pipe() for _ in range(20)]
    assert subprocess.run(["cat"], input=b"x" * 70_000, capture_output=True).stdout == b"x" * 70_000
    for end in ends:
        os.close(end[0]); os.close(end[1])
""",
    "many connections and threads": """
import asyncio, socket, threading
async def serve(number):
    async def answer(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=200)
    async def ask():
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x" * 20_000 + b"\\n")
        assert len(await reader.read()) == 20_001
        writer.close()
    for _ in range(number // 100):
        await asyncio.gather(*[ask() for _ in range(100)])
asyncio.run(serve(1_000))
pairs = [socket.socketpair() for _ in range(60)]
for one, other in pairs:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    assert one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 65536
    one.sendall(b"x" * 10_000)
    one.close()
    assert len(other.recv(20_000)) == 10_000
go = threading.Event()
threads = [threading.Thread(target=go.wait) for _ in range(30)]
for one in threads: one.start()
go.set()
for one in threads: one.join()
""",
}


@pytest.mark.parametrize("name", HONEST)
async def test_ordinary_programs_notice_nothing(sandbox: Sandbox, name: str) -> None:
    result = await python(sandbox, "import os\n" + HONEST[name], limits=LIMITS)
    assert (result.verdict, result.stderr) == ("ok", b"")


async def test_node_notices_nothing(sandbox: Sandbox) -> None:
    need(shutil.which("node") is not None, "node is not installed")
    code = """
const { Worker } = require("worker_threads"), { execFileSync } = require("child_process");
const block = Buffer.alloc(60e6, 1), shared = new SharedArrayBuffer(8e6);
for (let at = 0; at < 10; at++) execFileSync("true");
new Worker("require('worker_threads').workerData[0] = 7", { eval: true, workerData: new Uint8Array(shared) })
  .on("exit", () => console.log(new Uint8Array(shared)[0], block.length));
"""
    limits = SandboxLimits(memory_mb=256, wall_seconds=20, processes=40)
    result = await run(sandbox, "node", "-e", code, limits=limits)
    assert (result.verdict, result.stdout) == ("ok", b"7 60000000\n"), result.stderr
