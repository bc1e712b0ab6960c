"""The Sandbox port, by every backend: what a program cannot see, reach or become."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from pathlib import Path

import pytest

from contracts.ports import Sandbox
from tests.sandbox.probing import ask, python, run

LIBC = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return errno.errorcode.get(ctypes.get_errno(), "?") if result == -1 else "done"
"""
# (x86_64, aarch64) numbers and arguments that would succeed, or fail otherwise, if the call were let through.
FORBIDDEN = {
    "io_uring_setup": ((425, 425), "8, ctypes.create_string_buffer(120)"),
    "bpf": ((321, 280), "0, ctypes.create_string_buffer(128), 72"),
    "userfaultfd": ((323, 282), "1"),
    "perf_event_open": ((298, 241), "ctypes.create_string_buffer(128), 0, -1, -1, 0"),
    "keyctl": ((250, 219), "0, -3, 0"),
    "add_key": ((248, 217), "b'user', b'k', b'v', 1, -3"),
    "request_key": ((249, 218), "b'user', b'k', None, 0"),
    "ptrace": ((101, 117), "0, 0, 0, 0"),
    "process_vm_readv": ((310, 270), "os.getpid(), None, 0, None, 0, 0"),
    "process_vm_writev": ((311, 271), "os.getpid(), None, 0, None, 0, 0"),
    "kcmp": ((312, 272), "os.getpid(), os.getpid(), 0, 0, 0"),
    "open_by_handle_at": ((304, 265), "-100, None, 0"),
    "init_module": ((175, 105), "None, 0, b''"),
    "kexec_load": ((246, 104), "0, 0, None, 0"),
    "mount": ((165, 40), "b'x', b'/work', b'tmpfs', 0, None"),
    "umount2": ((166, 39), "b'/work', 2"),
    "fsopen": ((430, 430), "b'tmpfs', 0"),
    "open_tree": ((428, 428), "-100, b'/work', 1"),
    "pivot_root": ((155, 41), "b'/work', b'/work'"),
    "setns": ((308, 268), "os.open('/proc/self/ns/uts', os.O_RDONLY), 0"),
    "unshare-user": ((272, 97), "0x10000000"),
    "unshare-mount": ((272, 97), "0x20000"),
    "clone-user": ((56, 220), "0x10000000 | 17, 0, 0, 0, 0"),
    "chroot": ((161, 51), "b'/work'"),
    "prlimit-of-process-1": ((302, 261), "1, 7, None, ctypes.create_string_buffer(16)"),
    "sched_setaffinity": ((203, 122), "0, 8, ctypes.create_string_buffer(b'\\xff' * 8)"),
    "personality": ((135, 92), "0x0040000"),
    "pidfd_getfd": ((438, 438), "0, 0, 0"),
    "syslog": ((103, 116), "3, ctypes.create_string_buffer(10), 10"),
}


async def test_forbidden_system_calls(sandbox: Sandbox) -> None:
    column = 0 if platform.machine() == "x86_64" else 1
    calls = [
        f"seen[{name!r}] = call({numbers[column]}, {words})" for name, (numbers, words) in FORBIDDEN.items()
    ]
    seen = await ask(sandbox, "\n".join([LIBC, "seen = {}", *calls, "print(json.dumps(seen))"]))
    assert seen == dict.fromkeys(FORBIDDEN, "EPERM")


async def test_clone3_and_unknown_calls_do_not_exist(sandbox: Sandbox) -> None:
    code = f"{LIBC}\nprint(json.dumps([call(435, ctypes.create_string_buffer(88), 88), call(900)]))"
    assert await ask(sandbox, code) == ["ENOSYS", "ENOSYS"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the machine code is for x86_64")
async def test_calls_of_foreign_architectures_do_nothing(sandbox: Sandbox) -> None:
    """int 0x80 with getpid of i386 (20), and getpid with the x32 bit: neither may give the process id."""
    template = """
import ctypes, json, mmap, os
area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
area.write(bytes.fromhex("{code}"))
function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(area)))
print(json.dumps(function() == os.getpid()))
"""
    for code in ("b814000000cd80c3", "b8270000400f05c3"):
        result = await python(sandbox, template.format(code=code))
        died = result.exit_code == 128 + 31  # SIGSYS, with an engine's profile
        assert died or result.stdout == b"false\n", (code, result)


ALLOWED_FAMILIES = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6}


async def test_only_three_address_families_exist(sandbox: Sandbox) -> None:
    code = """
import socket, errno
def open_(family, kind):
    try:
        socket.socket(family, kind).close()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "open"
kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
print(json.dumps({family: sorted({open_(family, kind) for kind in kinds}) for family in range(64)}))
"""
    seen = await ask(sandbox, code)
    for family in range(64):
        if family in ALLOWED_FAMILIES:
            assert "open" in seen[str(family)]
        else:
            assert seen[str(family)] == ["EAFNOSUPPORT"], family


async def test_no_raw_sockets(sandbox: Sandbox) -> None:
    code = """
import socket
def raw(family):
    try:
        socket.socket(family, socket.SOCK_RAW, 1)
    except OSError as error:
        return error.strerror
    return "open"
print(json.dumps([raw(socket.AF_INET), raw(socket.AF_INET6)]))
"""
    assert await ask(sandbox, code) == ["Operation not permitted"] * 2


async def test_only_loopback_and_no_route(sandbox: Sandbox) -> None:
    code = """
import socket
names = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
routes = open("/proc/net/route").read().splitlines()[1:]
print(json.dumps([names, routes]))
"""
    names, routes = await ask(sandbox, code)
    assert "lo" in names
    # The kernel may give every namespace its tunnel stubs; none of them is up, as the missing routes show.
    assert not any(name.startswith(("eth", "en", "wl", "veth", "br", "docker")) for name in names)
    assert routes == []


async def test_a_listener_of_the_host_is_out_of_reach(sandbox: Sandbox) -> None:
    connections = 0

    async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    code = f"""
import socket
def reach(address):
    try:
        socket.create_connection((address, {port}), timeout=3).close()
    except OSError as error:
        return type(error).__name__
    return "connected"
print(json.dumps([reach("127.0.0.1"), reach("::1"), reach("localhost")]))
"""
    async with server:
        assert "connected" not in await ask(sandbox, code)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0)
    assert connections == 1, "only this test's own connection may have come in"


async def test_an_abstract_socket_of_the_host_is_out_of_reach(sandbox: Sandbox) -> None:
    name = f"multi-agent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        code = f"""
import socket
try:
    socket.socket(socket.AF_UNIX).connect("\\0{name}")
except OSError as error:
    print(json.dumps(type(error).__name__))
"""
        assert await ask(sandbox, code) == "ConnectionRefusedError"


async def test_names_are_not_resolved(sandbox: Sandbox) -> None:
    code = """
import socket
try:
    socket.getaddrinfo("sandbox-canary.invalid", 80)
except socket.gaierror as error:
    print(json.dumps(error.errno in (socket.EAI_AGAIN, socket.EAI_NONAME)))
"""
    assert await ask(sandbox, code) is True


async def test_servers_inside_work(sandbox: Sandbox) -> None:
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
print(json.dumps(client.getpeername()[0]))
"""
    assert await ask(sandbox, code) == "127.0.0.1"


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


async def test_no_message_queues(sandbox: Sandbox) -> None:
    mq_open = 240 if platform.machine() == "x86_64" else 180
    code = f"{LIBC}\nprint(json.dumps(call({mq_open}, b'q', os.O_CREAT | os.O_RDWR, 0o600, None)))"
    assert await ask(sandbox, code) == "EMFILE"


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


async def test_no_socket_files(sandbox: Sandbox) -> None:
    result = await run(sandbox, "find", "/", "-xdev", "-type", "s")
    assert result.stdout == b""
    result = await run(sandbox, "sh", "-c", "find / -path /proc -prune -o -type s -print 2>/dev/null; true")
    assert result.stdout == b""


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
    os.kill(1, number)
print(json.dumps(seen))
"""
    seen = await ask(sandbox, code)
    assert set(seen) <= {"EACCES", "EPERM"}, seen


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
    assert await ask(sandbox, code) == ["EPERM", "EPERM"]


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
