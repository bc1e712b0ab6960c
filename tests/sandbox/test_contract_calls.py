"""The Sandbox port, by every backend: what the kernel does not do for a program.

Calls of foreign architectures are a probe, which `test_abuse` runs.
"""

from __future__ import annotations

import platform

from contracts.ports.sandbox import Sandbox
from tests.sandbox.probing import ask

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


async def test_no_message_queues(sandbox: Sandbox) -> None:
    mq_open = 240 if platform.machine() == "x86_64" else 180
    code = f"{LIBC}\nprint(json.dumps(call({mq_open}, b'q', os.O_CREAT | os.O_RDWR, 0o600, None)))"
    assert await ask(sandbox, code) == "EMFILE"
