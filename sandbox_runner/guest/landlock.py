"""Landlock (Linux 5.13): an additional restriction of the program alone.

It enforces in another part of the kernel what the mounts enforce already, and keeps the program from sending
signals to process 1 and from tracing it. Kernel documentation: userspace-api/landlock.
"""

from __future__ import annotations

import ctypes
import os
import struct

from sandbox_runner.guest import linux

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
# The first ABI that can allow renaming a file from one folder to another.
_USEFUL_ABI = 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _IOCTL_DEV = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 15
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2


def abi() -> int:
    """Return the kernel's version; 0 when it has none, or one that would break legitimate programs."""
    found = int(linux.syscall(_CREATE_RULESET, None, 0, _VERSION))
    return found if found >= _USEFUL_ABI else 0


def restrict(folders: list[str]) -> None:
    """Let this process read and execute any file, but write only below `folders` and to devices.

    Does nothing if the kernel has no Landlock. Needs no_new_privs. Raises OSError.
    """
    version = abi()
    if not version:
        return
    handled = _rights(version)
    scoped = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS
    attributes = struct.pack("=QQQ", handled, 0, scoped)[: _ruleset_size(version)]
    ruleset = linux.checked(_CREATE_RULESET, "landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        _allow(ruleset, "/", _READ)
        _allow(ruleset, "/dev", (_READ | _WRITE_FILE | _IOCTL_DEV) & handled)
        for folder in folders:
            _allow(ruleset, folder, handled & ~(_MAKE_CHAR | _MAKE_BLOCK))
        linux.checked(_RESTRICT_SELF, "landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _rights(version: int) -> int:
    """Return all file rights that a version knows."""
    bits = 14 if version < 3 else 15 if version < 5 else 16
    return (1 << bits) - 1


def _ruleset_size(version: int) -> int:
    """Return the size of struct landlock_ruleset_attr in bytes."""
    return 8 if version < 4 else 16 if version < 6 else 24


def _allow(ruleset: int, folder: str, rights: int) -> None:
    parent = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, parent))
        linux.checked(_ADD_RULE, f"landlock_add_rule {folder}", ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(parent)
