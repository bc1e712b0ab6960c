"""The system calls that a program may not make: one policy, as a BPF program and as a Docker profile.

Forbidden calls fail with EPERM, other address families than unix, inet and inet6 with EAFNOSUPPORT. Calls
newer than the table and all calls of a foreign architecture (32-bit, x32) fail with ENOSYS, so that libraries
fall back to other calls instead of failing.
"""

from __future__ import annotations

import errno
import platform
import socket
import struct
from typing import Any

from sandbox_runner.engine.syscalls import FORBIDDEN, NEWEST, SPECIAL

FAMILIES = (int(socket.AF_UNIX), int(socket.AF_INET), int(socket.AF_INET6))

_Instruction = tuple[int, int, int, int]

_ARCHITECTURES = {
    "x86_64": (0, 0xC000_003E, "SCMP_ARCH_X86_64"),
    "aarch64": (1, 0xC000_00B7, "SCMP_ARCH_AARCH64"),
}
# Memory of which process 1 sees nothing, or not who holds it. A control group counts it.
_UNCOUNTED_MEMORY = (
    *("mbind", "memfd_create", "msgget", "semget", "set_mempolicy", "set_mempolicy_home_node", "shmget"),
    "vmsplice",
)
# Pages that would stay in pipes and sockets, when the files and sockets that they are from are gone. Who
# calls these can do without, and knows this error, which some pairs of descriptors give.
_UNCOUNTED_PAGES = ("sendfile", "splice", "tee")
SMALL_SEGMENT = 4_096
"""Bytes of a System V segment that a database server needs to know of another one."""
_SHM_HUGETLB = 0o4000
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NEW_NAMESPACES = tuple(1 << bit for bit in (17, 25, 26, 27, 28, 29, 30))
# TIOCSTI and TIOCLINUX put input into a terminal that another process reads.
_TYPING = (0x5412, 0x541C)
_LOW_WORD = 0xFFFF_FFFF
_CLONE_FILES, _CLONE_THREAD = 0x400, 0x1_0000
_CLOSE_RANGE_UNSHARE = 2
_F_OFD_SETLK, _F_OFD_SETLKW, _F_SETPIPE_SZ = 37, 38, 1031
_PIPE_BYTES = 65_536
_KCMP_VM = 1
_LANDLOCK_RULE_NET_PORT = 2
_PR_FUTEX_HASH = 78
_SOL_SOCKET = 1
_TCP_ZEROCOPY_RECEIVE = 35
_FILTERS_AND_PINS = (26, 51, 60)
"""SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF, SO_ZEROCOPY."""
_PROTOCOLS = (0, int(socket.IPPROTO_TCP), int(socket.IPPROTO_UDP))

_ALLOW = 0x7FFF_0000
_ERRNO = 0x0005_0000
_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT, _HIGH_WORD = 0, 4, 16, 4


def supported() -> bool:
    """Tell whether there is a table for this machine's architecture."""
    return platform.machine() in _ARCHITECTURES


def bpf_program(*, deny_uncounted_memory: bool, small_segments: bool = False) -> bytes:
    """Build the filter for this machine as packed `struct sock_filter`.

    small_segments: System V segments of up to SMALL_SEGMENT bytes are no uncounted memory. The kernel has
    4,096 of them at most in a namespace, so they are 16 MB together.
    """
    column, architecture, _ = _ARCHITECTURES[platform.machine()]
    special = {name: numbers[column] for name, numbers in SPECIAL.items()}
    forbidden = [numbers[column] for numbers in FORBIDDEN.values()]
    checked = _argument_checks()
    if deny_uncounted_memory:
        kept = {"shmget"} if small_segments else set()
        forbidden += [special[name] for name in _UNCOUNTED_MEMORY if name not in kept]
        forbidden.remove(FORBIDDEN["kcmp"][column])
        checked |= {name: [_refuse(errno.EINVAL)] for name in _UNCOUNTED_PAGES}
        checked |= _measurable_only(checked["clone"], checked["socket"])
        checked |= {"shmget": _only_small_segments()} if small_segments else {}
    code: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        _refuse(errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_ABOVE, 0, 1, NEWEST),  # also refuses x32, whose numbers begin at 2**30
        _refuse(errno.ENOSYS),
        (_EQUAL, 0, 1, special["clone3"]),  # its flags are in memory, which a filter cannot read
        _refuse(errno.ENOSYS),
    ]
    for number in forbidden:
        if number is not None:
            code += [(_EQUAL, 0, 1, number), _refuse(errno.EPERM)]
    for name, checks in checked.items():
        code += [(_EQUAL, 0, len(checks), special[name]), *checks]
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _argument_checks() -> dict[str, list[_Instruction]]:
    """Map a call to the instructions that decide by an argument. Each block ends in a return."""
    allow: _Instruction = (_RETURN, 0, 0, _ALLOW)
    denied = _refuse(errno.EPERM)
    families: list[_Instruction] = [
        _argument(0),
        *((_EQUAL, len(FAMILIES) - i, 0, family) for i, family in enumerate(FAMILIES)),
        _refuse(errno.EAFNOSUPPORT),
        allow,
    ]
    only_zero: list[_Instruction] = [_argument(0), (_EQUAL, 1, 0, 0), denied, allow]
    return {
        "socket": families,
        "socketpair": families,
        "clone": [_argument(0), (_ANY_BIT, 0, 1, sum(_NEW_NAMESPACES)), denied, allow],
        "prlimit64": only_zero,
        "personality": only_zero,
        "ioctl": _refused(1, _TYPING, errno.EPERM),
    }


def _measurable_only(
    clone: list[_Instruction], families: list[_Instruction]
) -> dict[str, list[_Instruction]]:
    """What else process 1 needs to see all memory that a program holds, and to see it once."""
    allow: _Instruction = (_RETURN, 0, 0, _ALLOW)
    denied = _refuse(errno.EPERM)
    shared_files: list[_Instruction] = [
        _argument(0),
        (_ANY_BIT, 0, 2, _CLONE_THREAD),
        (_ANY_BIT, 1, 0, _CLONE_FILES),
        denied,
    ]
    protocols: list[_Instruction] = [
        (_EQUAL, 5, 0, int(socket.AF_UNIX)),
        _argument(2),
        *((_EQUAL, len(_PROTOCOLS) - i, 0, each) for i, each in enumerate(_PROTOCOLS)),
        _refuse(errno.EPROTONOSUPPORT),
        allow,
    ]
    pipes: list[_Instruction] = [_argument(2), (_ABOVE, 0, 1, _PIPE_BYTES), denied, allow]
    return {
        "clone": [*shared_files, *clone],
        "close_range": [_argument(2), (_ANY_BIT, 0, 1, _CLOSE_RANGE_UNSHARE), denied, allow],
        "fcntl": [
            *(_argument(1), (_EQUAL, 0, len(pipes), _F_SETPIPE_SZ), *pipes),
            *_refused(1, (_F_OFD_SETLK, _F_OFD_SETLKW), errno.EINVAL),
        ],
        "getsockopt": _at_level(socket.IPPROTO_TCP, _refused(2, (_TCP_ZEROCOPY_RECEIVE,), errno.EINVAL)),
        "io_setup": [_refuse(errno.ENOSYS)],
        "kcmp": [_argument(2), (_EQUAL, 1, 0, _KCMP_VM), denied, allow],
        "landlock_add_rule": _refused(1, (_LANDLOCK_RULE_NET_PORT,), errno.EINVAL),
        "prctl": _refused(0, (_PR_FUTEX_HASH,), errno.EINVAL),
        "setsockopt": _at_level(_SOL_SOCKET, _refused(2, _FILTERS_AND_PINS, errno.EPERM)),
        "socket": [*families[:-1], *protocols],
    }


def _refused(index: int, values: tuple[int, ...], code: int) -> list[_Instruction]:
    """Refuse a call with one of the values as an argument."""
    compared: list[_Instruction] = [(_EQUAL, len(values) - i, 0, each) for i, each in enumerate(values)]
    return [_argument(index), *compared, (_RETURN, 0, 0, _ALLOW), _refuse(code)]


def _at_level(level: int, then: list[_Instruction]) -> list[_Instruction]:
    return [_argument(1), (_EQUAL, 1, 0, int(level)), (_RETURN, 0, 0, _ALLOW), *then]


def _only_small_segments() -> list[_Instruction]:
    """Decide by the size, all of its 64 bits, and by the flag for huge pages."""
    size_above: _Instruction = (_LOAD, 0, 0, _ARGUMENTS_AT + 8 + _HIGH_WORD)
    return [
        size_above,
        (_EQUAL, 0, 4, 0),
        _argument(1),
        (_ABOVE, 2, 0, SMALL_SEGMENT),
        _argument(2),
        (_ANY_BIT, 0, 1, _SHM_HUGETLB),
        _refuse(errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _argument(index: int) -> _Instruction:
    # The kernel looks at the low word of these arguments only. Both architectures are little endian.
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)


def _refuse(code: int) -> _Instruction:
    return (_RETURN, 0, 0, _ERRNO | code)


def docker_profile() -> dict[str, Any]:
    """Build the same policy in Docker's format. There, a call of a foreign architecture kills the program."""
    rules = [
        _rule(sorted(FORBIDDEN), errno.EPERM),
        _rule(["clone3"], errno.ENOSYS),
        *(_rule(["clone"], errno.EPERM, _same_bits(0, bit, bit)) for bit in _NEW_NAMESPACES),
        *(_rule(["ioctl"], errno.EPERM, _same_bits(1, _LOW_WORD, command)) for command in _TYPING),
        _rule(["prlimit64"], errno.EPERM, _compare(0, "SCMP_CMP_NE", 0)),
        _rule(["personality"], errno.EPERM, _compare(0, "SCMP_CMP_NE", 0)),
    ]
    calls = ["socket", "socketpair"]
    last = max(FAMILIES)
    for family in sorted(set(range(last)) - set(FAMILIES)):
        rules.append(_rule(calls, errno.EAFNOSUPPORT, _compare(0, "SCMP_CMP_EQ", family)))
    rules.append(_rule(calls, errno.EAFNOSUPPORT, _compare(0, "SCMP_CMP_GT", last)))
    machine = _ARCHITECTURES.get(platform.machine())
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [machine[2]] if machine else [],
        "syscalls": rules,
    }


def _rule(names: list[str], code: int, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": code}
    return rule if condition is None else {**rule, "args": [condition]}


def _compare(index: int, operator: str, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": operator}


def _same_bits(index: int, mask: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
