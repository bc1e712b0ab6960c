"""The Sandbox port, by every backend: what a program cannot see, touch or become."""

from __future__ import annotations

import os
from pathlib import Path

from contracts.ports.sandbox import Sandbox
from sandbox_runner.guest import landlock
from tests.sandbox.probing import ask


async def test_not_root_and_without_capabilities(sandbox: Sandbox) -> None:
    code = """
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
fields = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
print(json.dumps([os.getresuid(), os.getresgid(), [status[f].strip() for f in fields]]))
"""
    uids, gids, fields = await ask(sandbox, code)
    assert uids == [65_534] * 3
    assert gids == [65_534] * 3
    assert fields == ["0" * 16] * 5 + ["1", "2"]


async def test_not_root_for_the_host_either(sandbox: Sandbox) -> None:
    """A user namespace may hide that the program is root outside; its files tell."""
    code = "print(json.dumps([l.split() for l in open('/proc/self/uid_map')]))"
    maps = await ask(sandbox, code)
    outside = {inside: host for inside, host, _ in maps}
    if maps == [["0", "0", "4294967295"]]:
        assert sandbox.backend == "docker", "65534 is 65534 there"
    elif os.geteuid() == 0:
        assert outside["65534"] == "65534"
    else:
        assert set(outside) == {"65534"}


async def test_the_root_is_read_only(sandbox: Sandbox) -> None:
    code = """
import errno
def write(path):
    try:
        open(path, "w").close()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"
folders = ("/", "/usr", "/usr/bin", "/etc", "/opt", "/var", "/root", "/home", "/run", "/dev", "/proc", "/sys")
paths = [f"{folder}/canary" for folder in folders]
paths += [sys.executable, os.__file__, json.__file__, "/etc/passwd"]
print(json.dumps({path: write(path) for path in paths}))
"""
    seen = await ask(sandbox, code)
    assert set(seen.values()) <= {"EROFS", "EACCES", "ENOENT", "EPERM", "ETXTBSY"}, seen


async def test_every_writable_mount_is_a_small_one(sandbox: Sandbox) -> None:
    code = """
mounts = [line.split() for line in open("/proc/mounts")]
print(json.dumps([(m[1], m[2]) for m in mounts if "rw" in m[3].split(",") and os.path.isdir(m[1])
    and os.access(m[1], os.W_OK)]))
"""
    kinds = dict(await ask(sandbox, code))
    # Terminals are no files, and the next test shows that the file system for message queues takes none.
    kinds = {path: kind for path, kind in kinds.items() if kind not in {"devpts", "mqueue"}}
    assert kinds == dict.fromkeys(("/work", "/tmp", "/dev/shm"), "tmpfs")


async def test_nothing_of_the_host_is_there(sandbox: Sandbox, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("x")
    places = [
        str(canary),
        __file__,
        str(Path.home() / ".ssh"),
        str(Path.home() / ".cache"),
        "/var/run/docker.sock",
    ]
    places += [
        "/etc/shadow",
        "/etc/machine-id",
        "/etc/ssh",
        "/boot/vmlinuz",
        "/var/log",
        "/sys/class/dmi",
        "/mnt",
        "/srv",
    ]
    code = f"""
def readable(path):
    try:
        return bool(os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1))
    except OSError:
        return False
print(json.dumps([path for path in {places!r} if readable(path)]))
"""
    seen = await ask(sandbox, code)
    # An image has system files of its own, none of which is the host's.
    assert set(seen) <= (
        {"/var/log", "/etc/machine-id", "/sys/class/dmi"} if sandbox.backend == "docker" else set()
    )


async def test_no_setuid_programs_help(sandbox: Sandbox) -> None:
    code = """
mounts = [line.split() for line in open("/proc/mounts")]
print(json.dumps([mount[1] for mount in mounts if "nosuid" not in mount[3].split(",")]))
"""
    lax = await ask(sandbox, code)
    # no_new_privs makes them harmless where the engine mounts the root without nosuid.
    assert lax == [] or sandbox.backend == "docker"


async def test_only_its_own_processes(sandbox: Sandbox) -> None:
    code = "print(json.dumps(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()) + [os.getpid()]))"
    first, own, again = await ask(sandbox, code)
    assert first == 1
    assert own == again


async def test_process_1_is_out_of_reach(sandbox: Sandbox) -> None:
    code = """
import errno, signal
def attempt(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
seen = [attempt(lambda: open(f"/proc/1/{name}", "rb").read(1)) for name in ("mem", "environ", "maps")]
seen += [attempt(lambda: os.readlink(f"/proc/1/{name}")) for name in ("exe", "root", "cwd", "fd/1")]
seen += [attempt(lambda: open("/proc/1/fd/1", "wb"))]
for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGSEGV):
    signalled = attempt(lambda: os.kill(1, number))
print(json.dumps([seen, signalled]))
"""
    seen, signalled = await ask(sandbox, code)
    assert set(seen) <= {"EACCES", "EPERM"}, seen
    if sandbox.backend != "docker" and landlock.abi() >= 6:
        assert signalled == "EPERM", "Landlock lets no signal out of the program's domain"


async def test_the_kernels_switches_cannot_be_turned(sandbox: Sandbox) -> None:
    code = """
import errno
def write(path, text):
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"
switches = {"/proc/sys/kernel/core_pattern": "x", "/proc/sysrq-trigger": "h", "/proc/1/oom_score_adj": "1000",
    "/proc/self/oom_score_adj": "-500", "/proc/self/uid_map": "0 0 1", "/sys/fs/cgroup/release_agent": "x",
    "/sys/fs/cgroup/memory/release_agent": "x", "/proc/sys/vm/drop_caches": "1", "/proc/self/exe": "x"}
print(json.dumps({path: write(path, text) for path, text in switches.items()}))
"""
    seen = await ask(sandbox, code)
    assert "written" not in seen.values(), seen


async def test_no_devices_can_be_made(sandbox: Sandbox) -> None:
    code = """
import errno, stat
def make(kind):
    try:
        os.mknod("/work/device", kind | 0o600, os.makedev(1, 1))
    except OSError as error:
        return errno.errorcode[error.errno]
    return "made"
print(json.dumps([make(stat.S_IFBLK), make(stat.S_IFCHR)]))
"""
    assert set(await ask(sandbox, code)) <= {"EPERM", "EACCES"}


async def test_devices_are_few(sandbox: Sandbox) -> None:
    code = """
import stat
print(json.dumps([name for name in os.listdir("/dev") if stat.S_ISBLK(os.lstat(f"/dev/{name}").st_mode)
    or stat.S_ISCHR(os.lstat(f"/dev/{name}").st_mode)]))
"""
    assert set(await ask(sandbox, code)) <= {"null", "zero", "full", "random", "urandom", "tty", "console"}


async def test_the_host_has_another_name(sandbox: Sandbox) -> None:
    code = """
import socket
print(json.dumps([socket.gethostname(), open("/proc/sys/kernel/hostname").read().strip()]))
"""
    assert await ask(sandbox, code) == ["sandbox", "sandbox"]


async def test_ipc_is_private(sandbox: Sandbox) -> None:
    code = "print(json.dumps([len(open(f'/proc/sysvipc/{k}').readlines()) for k in ('shm', 'msg', 'sem')]))"
    assert await ask(sandbox, code) == [1, 1, 1]


async def test_no_inherited_descriptors(sandbox: Sandbox) -> None:
    code = "print(json.dumps(sorted(int(f) for f in os.listdir('/proc/self/fd'))))"
    assert await ask(sandbox, code) == [0, 1, 2, 3], "the fourth is the listing itself"
