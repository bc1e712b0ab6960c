"""The Sandbox port, by every backend: memory that is not a program's own pages, the kernel's above all.

Each program tries to hold far more than its limit of 64 MB in one way. It says how much that was, in MB.
"""

from __future__ import annotations

import pytest

from contracts.ports.sandbox import Sandbox, SandboxLimits
from tests.sandbox.probing import python

LIMITS = SandboxLimits(memory_mb=64, wall_seconds=20, processes=16, disk_mb=256, file_count=600)

START = """
import ctypes, fcntl, mmap, os, select, socket, threading, time
MB = 1 << 20
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

def fill(write, size=60_000):
    written = 0
    try:
        while written < 1000 * MB:
            written += write(b"x" * size)
    except BlockingIOError:
        pass
    return written

def in_children(number, work):
    for _ in range(number):
        if os.fork() == 0:
            kept = []
            try:
                while True:
                    work(kept)
            except OSError:
                time.sleep(20)
            os._exit(0)
    time.sleep(20)
"""

WAYS = {
    "shared memory that is out of sight": """
area = mmap.mmap(-1, 256 * MB)
for at in range(0, 256, 8):
    area[at * MB:(at + 8) * MB] = b"x" * (8 * MB)
    area.madvise(mmap.MADV_DONTNEED, at * MB, 8 * MB)
print(256)
""",
    "shared memory of which one page is left": """
for _ in range(64):
    place = libc.mmap(None, 4 * MB, 3, 0x21, -1, 0)
    ctypes.memset(place, 1, 4 * MB)
    libc.munmap(place + 4096, 4 * MB - 4096)
print(256)
""",
    "files": """
for folder in ("/work", "/tmp"):
    with open(f"{folder}/big", "wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * MB)
print(400)
""",
    "tables of pages": """
place = libc.mmap(None, 60_000 * 2 * MB, 1, 0x4022, -1, 0)
for at in range(60_000):
    ctypes.string_at(place + at * 2 * MB, 1)
print(60_000 * 4 // 1024)
""",
    "a process whose first thread has ended": """
def take():
    time.sleep(0.1)
    kept = [b"x" * (4 * MB) for _ in range(64)]
    os.write(1, b"256")
    os._exit(0)
threading.Thread(target=take).start()
libc.syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
""",
    "sockets": """
def work(kept):
    kept.append(socket.socketpair())
    for end in kept[-1]:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MB)
        end.setblocking(False)
        fill(end.send)
in_children(6, work)
""",
    "sockets whose other end is closed": """
def work(kept):
    one, other = socket.socketpair()
    one.setblocking(False)
    fill(one.send, 1_000)
    kept.append(other)
in_children(6, work)
""",
    "pipes": """
def work(kept):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        fcntl.fcntl(writer, 1031, MB)
    except PermissionError:
        pass
    fill(lambda data: os.write(writer, data))
    os.close(writer)
in_children(12, work)
""",
}
"""Name of a way to hold memory -> program."""


@pytest.mark.parametrize("way", WAYS)
async def test_no_program_holds_more_than_its_limit(sandbox: Sandbox, way: str) -> None:
    result = await python(sandbox, START + WAYS[way], limits=LIMITS)
    assert (result.verdict, result.stdout) == ("oom", b""), result.stderr


async def test_events_that_nobody_reads_count(sandbox: Sandbox) -> None:
    code = """
def work(kept):
    if libc.inotify_init() < 0:
        raise OSError
in_children(6, work)
"""
    result = await python(sandbox, START + code, limits=LIMITS)
    assert (result.verdict, result.stdout) == ("oom", b""), result.stderr


async def test_connections_count(sandbox: Sandbox) -> None:
    code = """
listener = socket.create_server(("127.0.0.1", 0), backlog=200)
kept = []
for _ in range(100):
    client = socket.create_connection(listener.getsockname())
    kept += [client, listener.accept()[0]]
    client.setblocking(False)
    fill(client.send)
print("held")
"""
    result = await python(sandbox, START + code, limits=LIMITS)
    assert (result.verdict, result.stdout) == ("oom", b""), result.stderr


HONEST = """
import asyncio, multiprocessing, socket, subprocess, sys, tempfile
with tempfile.TemporaryFile() as file:
    file.write(b"x" * 8_000_000)
area = mmap.mmap(-1, 4 * MB)
area[:] = b"x" * (4 * MB)
pairs = [socket.socketpair() for _ in range(10)]
for one, other in pairs:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    one.sendall(b"x" * 10_000)
    assert len(other.recv(20_000)) == 10_000

async def serve():
    async def answer(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async def ask():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 50_000 + b"\\n")
        return len(await reader.read())
    print(sum(await asyncio.gather(*[ask() for _ in range(20)])))

asyncio.run(serve())
with multiprocessing.Pool(2) as pool:
    assert pool.map(abs, [-1, -2]) == [1, 2]
assert subprocess.run([sys.executable, "-c", "pass"]).returncode == 0
"""


async def test_ordinary_programs_notice_nothing(sandbox: Sandbox) -> None:
    limits = SandboxLimits(memory_mb=160, wall_seconds=20, processes=16, disk_mb=64)
    result = await python(sandbox, START + HONEST, limits=limits)
    assert (result.verdict, result.stdout) == ("ok", b"1000020\n"), result.stderr
