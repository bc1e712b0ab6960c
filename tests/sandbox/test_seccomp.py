"""One policy in two formats: the BPF program, run here instruction by instruction, against the profile."""

from __future__ import annotations

import errno
import platform
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from sandbox_runner.engine.seccomp import FAMILIES, bpf_program, docker_profile
from sandbox_runner.engine.syscalls import FORBIDDEN, NEWEST, SPECIAL

MACHINE = platform.machine()
COLUMN = {"x86_64": 0, "aarch64": 1}.get(MACHINE, 0)
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}.get(MACHINE, 0)
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def _verdict(
    number: int,
    *arguments: int,
    architecture: int = AUDIT,
    counted: bool = True,
    services: bool = False,
) -> int | str:
    """What the filter says about a call: "allow", or the error number."""
    padded = [argument % 2**64 for argument in (*arguments, 0, 0, 0, 0, 0, 0)][:6]
    data = struct.pack("<IIQ6Q", number % 2**32, architecture, 0, *padded)
    program = bpf_program(deny_uncounted_memory=not counted, small_segments=services)
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    while True:
        operation, yes, no, operand = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif operation == 0x06:
            return "allow" if operand == ALLOW else operand & 0xFFFF
        else:
            holds = {0x15: accumulator == operand, 0x25: accumulator > operand, 0x45: accumulator & operand}
            at += yes if holds[operation] else no


def _special(name: str) -> int:
    return SPECIAL[name][COLUMN]


def test_the_program_is_well_formed() -> None:
    """Every jump lands inside, the last instruction returns, and it is within the kernel's length."""
    code = list(struct.iter_unpack("=HBBI", bpf_program(deny_uncounted_memory=True, small_segments=True)))
    assert len(code) < 4096
    assert code[-1][0] == 0x06
    for at, (operation, yes, no, _) in enumerate(code):
        if operation not in {0x20, 0x06}:
            assert at + 1 + max(yes, no) < len(code)


def test_forbidden_calls() -> None:
    for name, numbers in FORBIDDEN.items():
        number = numbers[COLUMN]
        if number is not None:
            assert _verdict(number) == errno.EPERM, name


def test_ordinary_calls_are_let_through() -> None:
    forbidden = {numbers[COLUMN] for numbers in [*FORBIDDEN.values(), *SPECIAL.values()]}
    for number in set(range(NEWEST + 1)) - forbidden:
        assert _verdict(number) == _verdict(number, counted=False) == "allow", number


def test_foreign_calls_do_not_exist() -> None:
    assert _verdict(1, architecture=0x40000003) == errno.ENOSYS
    assert _verdict(1 | 0x40000000) == errno.ENOSYS
    assert _verdict(NEWEST + 1) == errno.ENOSYS
    assert _verdict(-1) == errno.ENOSYS
    assert _verdict(_special("clone3")) == errno.ENOSYS


@pytest.mark.parametrize("call", ["socket", "socketpair"])
def test_families(call: str) -> None:
    for family in [*range(64), 2**31, 2**32 - 1]:
        expected = "allow" if family in FAMILIES else errno.EAFNOSUPPORT
        assert _verdict(_special(call), family, socket.SOCK_STREAM) == expected, family
    # The kernel takes the low word; so does the filter.
    assert _verdict(_special(call), 2**32 + socket.AF_INET) == "allow"
    assert _verdict(_special(call), 2**32 + 40) == errno.EAFNOSUPPORT


def test_new_namespaces_and_ordinary_children() -> None:
    clone = _special("clone")
    assert _verdict(clone, 17) == "allow"
    assert _verdict(clone, 0x003D0F00) == "allow", "a thread"
    for bit in (17, 25, 26, 27, 28, 29, 30):
        assert _verdict(clone, 1 << bit | 17) == errno.EPERM


def test_decisions_by_argument() -> None:
    assert _verdict(_special("prlimit64"), 0) == "allow"
    assert _verdict(_special("prlimit64"), 1) == errno.EPERM
    assert _verdict(_special("personality"), 0) == "allow"
    assert _verdict(_special("personality"), 0x40000) == errno.EPERM
    assert _verdict(_special("ioctl"), 0, 0x5401) == "allow"
    assert _verdict(_special("ioctl"), 0, 0x5412) == errno.EPERM
    assert _verdict(_special("ioctl"), 0, 2**32 + 0x5412) == errno.EPERM
    assert _verdict(_special("ioctl"), 0, 0x541C) == errno.EPERM


UNCOUNTED = ("mbind", "memfd_create", "msgget", "semget", "set_mempolicy", "shmget", "vmsplice")


def test_memory_that_polling_cannot_see() -> None:
    for name in UNCOUNTED:
        assert _verdict(_special(name)) == "allow"
        assert _verdict(_special(name), counted=False) == errno.EPERM
    for name in ("sendfile", "splice", "tee"):
        assert _verdict(_special(name)) == "allow"
        assert _verdict(_special(name), counted=False) == errno.EINVAL
    assert _verdict(_special("io_setup"), counted=False) == errno.ENOSYS


# What is asked, whether memory is counted by the kernel: allowed then, else what the filter says.
ARGUMENTS = [
    ("fcntl", (3, 1031, 1 << 20), errno.EPERM),  # F_SETPIPE_SZ
    ("fcntl", (3, 37), errno.EINVAL),  # locks of descriptions, which are not told apart by sandboxes
    ("fcntl", (3, 38), errno.EINVAL),
    ("fcntl", (3, 6), "allow"),
    ("fcntl", (3, 1031, 65_536), "allow"),
    ("prctl", (4, 0), "allow"),  # what a process says of itself stays true
    ("prctl", (22, 2), "allow"),
    ("prctl", (78, 1, 1 << 21), errno.EINVAL),  # PR_FUTEX_HASH
    ("landlock_add_rule", (3, 1), "allow"),
    ("landlock_add_rule", (3, 2), errno.EINVAL),  # a rule for a port
    ("getsockopt", (3, 6, 35), errno.EINVAL),  # TCP_ZEROCOPY_RECEIVE
    ("getsockopt", (3, 6, 11), "allow"),
    ("getsockopt", (3, 1, 35), "allow"),
    ("kcmp", (7, 8, 0), errno.EPERM),
    ("kcmp", (7, 8, 1), "allow"),
    ("kcmp", (7, 8, 2), errno.EPERM),
    ("setsockopt", (3, 1, 7), "allow"),
    ("setsockopt", (3, 1, 8), "allow"),
    ("setsockopt", (3, 1, 26), errno.EPERM),
    ("setsockopt", (3, 1, 51), errno.EPERM),
    ("setsockopt", (3, 1, 60), errno.EPERM),
    ("setsockopt", (3, 1, 2), "allow"),
    ("setsockopt", (3, 6, 7), "allow"),
    ("socket", (int(socket.AF_UNIX), 1, 0), "allow"),
    ("socket", (int(socket.AF_INET), 1, 6), "allow"),
    ("socket", (int(socket.AF_INET6), 2, 17), "allow"),
    ("socket", (int(socket.AF_INET), 1, 132), errno.EPROTONOSUPPORT),
    ("socket", (16, 3, 4), errno.EAFNOSUPPORT),
    ("clone", (0x003D0F00,), "allow"),
    ("clone", (0x003D0F00 & ~0x400,), errno.EPERM),  # a thread with descriptors of its own
    ("clone", (17,), "allow"),
    ("clone", (1 << 28 | 17,), errno.EPERM),
    ("close_range", (3, 100, 2), errno.EPERM),
    ("close_range", (3, 100, 4), "allow"),
]


@pytest.mark.parametrize(("name", "arguments", "verdict"), ARGUMENTS)
def test_what_is_measured_can_be_seen(name: str, arguments: tuple[int, ...], verdict: int | str) -> None:
    assert _verdict(_special(name), *arguments, counted=False) == verdict


def test_where_there_are_services_small_segments_can_be_had() -> None:
    shmget = _special("shmget")
    for size, flags, expected in [
        (56, 0o1600, "allow"),
        (4_096, 0o1600, "allow"),
        (4_097, 0o1600, errno.EPERM),
        (2**32 + 56, 0o1600, errno.EPERM),
        (2**63, 0o1600, errno.EPERM),
        (56, 0o5600, errno.EPERM),  # in huge pages
    ]:
        assert _verdict(shmget, 1, size, flags, counted=False, services=True) == expected, size
    for name in ("memfd_create", "semget", "msgget"):
        assert _verdict(_special(name), counted=False, services=True) == errno.EPERM


def _profile_says(name: str, *arguments: int) -> int | str:
    """The engine's rules read the way libseccomp does: full words, the first rule that fits."""
    compare: dict[str, Any] = {
        "SCMP_CMP_EQ": lambda a, v, _: a == v,
        "SCMP_CMP_NE": lambda a, v, _: a != v,
        "SCMP_CMP_GT": lambda a, v, _: a > v,
        "SCMP_CMP_MASKED_EQ": lambda a, mask, v: a & mask == v,
    }
    for rule in docker_profile()["syscalls"]:
        if name in rule["names"] and all(
            compare[c["op"]](arguments[c["index"]], c["value"], c.get("valueTwo", 0))
            for c in rule.get("args", [])
        ):
            return int(rule["errnoRet"])
    return "allow"


def test_the_profile_agrees() -> None:
    for name in FORBIDDEN:
        assert _profile_says(name) == errno.EPERM
    calls = [(call, family, 0) for call in ("socket", "socketpair") for family in range(64)]
    calls += [("clone", 17 | 1 << bit, 0) for bit in range(8, 31)]
    calls += [(name, value, 0) for name in ("prlimit64", "personality") for value in (0, 1, 0x40000)]
    calls += [("ioctl", 0, command) for command in (0x5401, 0x5412, 0x541C, 2**32 + 0x5412)]
    calls += [("clone3", 0, 0)]
    for name, first, second in calls:
        assert _profile_says(name, first, second) == _verdict(_special(name), first, second), (name, first)


@pytest.mark.skipif(MACHINE != "x86_64", reason="the header is that of x86_64")
def test_the_table_agrees_with_the_kernels_header() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("no kernel headers (linux-libc-dev) here")
    words = (line.split() for line in header.read_text().splitlines() if line.startswith("#define __NR_"))
    known = {name.removeprefix("__NR_"): int(number) for _, name, number in words}
    for name, (number, _) in {**FORBIDDEN, **SPECIAL}.items():
        assert known.get(name, number) == number, name
