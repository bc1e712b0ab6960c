"""Set-ups and builds of a repository that attack: each is stopped, or finds nothing, and leaves nothing."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from contracts.base.errors import EnvironmentFailed
from sandbox_runner.environments.making.building import Build, Builder, build_limits
from sandbox_runner.probes.host import Listeners, new_marker, processes_with
from tests.environments.conftest import Place
from tests.environments.package_index import serving
from tests.environments.test_found import environments, files

pytestmark = pytest.mark.parametrize("backend", ["bubblewrap"], indirect=True)

SMALL: Final = replace(
    build_limits(4), memory_mb=256, disk_mb=32, processes=64, changed_mb=1, changed_files=50
)
PYTHON: Final = """
import os, socket, subprocess, sys, time
marker, port, outside = sys.argv[1:]
"""
# What each does -> what is told of it; "" for what does no harm.
SET_UPS: Final = {
    "asks the host": ("socket.create_connection(('127.0.0.1', int(port)), 3)", "Connection refused"),
    "asks a resolver": ("socket.getaddrinfo('example.org', 80)", "gaierror"),
    "sends by UDP": (
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "Network is unreachable",
    ),
    "writes outside": ("open(outside + '/kept', 'a').write('changed')", "No such file or directory"),
    "writes to the system": ("open('/usr/bin/sh', 'ab')", "Read-only file system|Permission denied"),
    "writes where it will lie": (
        "open('/opt/environment/x', 'w')",
        "Read-only file system|Permission denied",
    ),
    "writes through a link": (
        "os.symlink(outside, 'out'); open('out/kept', 'a').write('changed')",
        "No such file or directory",
    ),
    "reads what is outside": ("print(open(outside + '/kept').read())", "No such file or directory"),
    "reads keys": ("print(os.listdir(os.path.expanduser('~root/.ssh')))", "No such file|Permission denied"),
    "reads the environment of others": (
        "others = [one for one in os.listdir('/proc') if one.isdigit() and int(one) != os.getpid()]\n"
        "for one in others: open(f'/proc/{one}/environ').read()",
        "Permission denied",
    ),
    "takes all processes": (
        "while True: os.fork()",
        "did not end within|ended: oom|temporarily unavailable|exit",
    ),
    "takes all memory": ("x = [bytearray(1 << 24) for _ in range(64)]", "ended: oom|exit code"),
    "takes all of the disk": ("open('x', 'wb').write(bytes(1 << 26))", "No space left|File too large"),
    "leaves too many files": ("[open(f'{n}', 'w') for n in range(60)]", "that it wrote cannot be kept"),
    "leaves too much": ("open('x', 'wb').write(bytes(2 << 20))", "that it wrote cannot be kept"),
    "never ends": ("time.sleep(300)", "did not end within 4 s"),
    "leaves a process": (
        "subprocess.Popen(['sleep', marker], start_new_session=True, stdout=-3, stderr=-3, stdin=-3)",
        "",
    ),
    "leaves a link out": ("os.symlink('/etc/passwd', 'link'); os.symlink(outside, 'folder')", ""),
    "leaves a pipe": ("os.mkfifo('pipe')", ""),
}


@pytest.mark.parametrize("name", SET_UPS)
async def test_a_set_up_that_attacks(place: Place, name: str) -> None:
    place.write({"a.py": ""})
    commit = await place.store.import_base(place.repository)
    outside, made = place.repository.parent / "outside", place.repository.parent / "made"
    made.mkdir()
    outside.mkdir()
    (outside / "kept").write_text("key")
    code, told = SET_UPS[name]
    marker = new_marker()
    with tempfile.TemporaryDirectory() as folder:
        listeners = Listeners(folder)
        async with listeners.open():
            setup = ("python", "-c", PYTHON + code, marker, str(listeners.port), str(outside))
            builder = Builder(place.workspaces, SMALL)
            if told:
                with pytest.raises(EnvironmentFailed, match=f"^environment, step (setup|build): .*({told})"):
                    await builder.build(Build(commit, frozenset({"a.py"}), setup), made)
            else:
                await builder.build(Build(commit, frozenset({"a.py"}), setup), made)
        assert listeners.reached == []
    assert processes_with(marker) == []
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "key"
    left = {path.name for path in made.rglob("*") if path.is_symlink() or path.is_file()}
    assert left == ({"link", "folder"} if name == "leaves a link out" else set())


ATTACKS: Final = """
import os, socket, subprocess
def tried(attack):
    try:
        attack()
    except OSError as error:
        return type(error).__name__
    return "done"
SEEN = [
    tried(lambda: socket.create_connection(("127.0.0.1", PORT), 3)),
    tried(lambda: open("OUTSIDE/x", "w")),
    tried(lambda: open("/opt/fetched/x", "w")),
    tried(lambda: os.listdir("/root/.ssh")),
]
subprocess.Popen(["sleep", "MARKER"], start_new_session=True, stdout=-3, stderr=-3, stdin=-3)
"""


async def test_a_build_that_attacks(place: Place, tmp_path: Path) -> None:
    marker = new_marker()
    with serving() as index, tempfile.TemporaryDirectory() as folder:
        index.add("dependency", dependency="VALUE = 7\n")
        index.add("pytest", pytest="")
        listeners = Listeners(folder)
        async with listeners.open():
            attack = ATTACKS.replace("PORT", str(listeners.port)).replace("MARKER", marker)
            written = files()
            written["backend.py"] = attack.replace("OUTSIDE", str(tmp_path)) + written["backend.py"].replace(
                "version = {version!r}\\n", "version = {SEEN!r}\\n"
            )
            place.write(written)
            (told,) = await place.run(environments(place, index), ("thing",))
        assert listeners.reached == []
    seen = b"['ConnectionRefusedError', 'FileNotFoundError', 'OSError', "
    assert told.stdout.startswith(seen), (told.stdout, told.stderr)
    assert b"done" not in told.stdout
    assert processes_with(marker) == []
    assert not await asyncio.to_thread((tmp_path / "x").exists)
