"""What the descriptors of all processes hold, as /proc/PID/fdinfo has it.

That says of a process which hides its descriptors what is needed, and /proc/PID/fd does not.
"""

from __future__ import annotations

import os
import re
import select
import socket
import stat

from sandbox_runner.guest.measuring.processes import SandboxProcess, names

_KB = 1_024
_DESCRIPTOR, _PIPE, _PROC_FILE, _WATCHED = _KB, 64 * _KB, 32 * _KB, 256
_WATCHED_FILE = 2 * _KB
_TERMINALS = range(136, 144)
"""Major numbers of the ends of terminals that programs have."""
_EVENTS = 16_384 * 320
"""The events of an inotify instance that nobody reads."""
_MOST_SENT = 512
"""Descriptors that may be in messages at most: twice RLIMIT_NOFILE."""
_OUT_OF_SIGHT = 16 << 20
"""What one in a message may hold, such as an epoll with all that it can watch; or rules of Landlock."""
_FIELD = re.compile(rb"^(mnt_id|ino|scm_fds):\s+(\d+)", re.M)
_KNOWN_ANONYMOUS = (b"tfd:", b"eventfd-count:", b"sigmask:", b"clockid:", b"Pid:", b"inotify ")


class Places:
    """The file systems of the kernel's own in which pipes, sockets and the like are."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        with select.epoll() as epoll, socket.socket(socket.AF_UNIX) as one:
            self.pipes, self.sockets, self.anonymous = map(_mount, (reader, one.fileno(), epoll.fileno()))
        os.close(reader)
        os.close(writer)
        self.proc = os.stat("/proc").st_dev


def _mount(fd: int) -> bytes:
    with open(f"/proc/self/fdinfo/{fd}", "rb", buffering=0) as file:
        fields: dict[bytes, bytes] = dict(_FIELD.findall(file.read()))
    return fields[b"mnt_id"]


class HeldByDescriptors:
    """What they hold, process by process."""

    def __init__(self, places: Places, limit: int) -> None:
        self._places, self._limit = places, limit
        self._bytes = self._sent = self._proc_files = self._most_watched = self._rulesets = 0
        self._pipes: set[object] = set()
        self._terminals: set[int] = set()
        self.sockets: set[int] = set()
        """Inodes."""
        self.complete = True
        """Whether all sockets that processes hold are in `sockets`."""

    def add(self, process: SandboxProcess) -> None:
        """Add those of a process."""
        if process.has_ended:
            return
        listed = names(f"{process.place}/fdinfo")
        if not listed and process.descriptors and os.path.exists(process.place):
            # It hides them, or is on its way out.
            self.complete = False
            self._bytes += process.descriptors * _PIPE
        for name in listed:
            if self.total() > self._limit:
                return
            self._add_one(process, name)

    def _add_one(self, process: SandboxProcess, name: str) -> None:
        fields, watched, files, known = dict[bytes, bytes](), 0, 0, False
        for block in process.blocks(f"fdinfo/{name}"):
            fields = fields or dict(_FIELD.findall(block))
            watched += block.count(b"\ntfd:") + block.startswith(b"tfd:")
            files += block.count(b"inotify wd:")
            known = known or any(word in block for word in _KNOWN_ANONYMOUS)
            if watched * _WATCHED > self._limit:
                break
        self._bytes += _DESCRIPTOR + watched * _WATCHED + files * _WATCHED_FILE
        self._most_watched = max(self._most_watched, watched)
        mount, inode = fields.get(b"mnt_id"), fields.get(b"ino")
        path = f"{process.place}/fd/{name}"
        if mount == self._places.pipes:
            self._pipes.add(inode or path)
        elif mount == self._places.sockets:
            if inode is None:
                self.complete = False
            elif int(inode) not in self.sockets:
                self.sockets.add(int(inode))
                self._sent += int(fields.get(b"scm_fds", b"0"))
        elif mount == self._places.anonymous:
            link = "" if known or files else _link(path)
            self._bytes += _EVENTS if files or "inotify" in link else 0
            self._rulesets += "landlock" in link
        elif mount is not None:
            self._add_file(path)

    def _add_file(self, path: str) -> None:
        try:
            found = os.stat(path)
        except PermissionError:
            self._pipes.add(path)
        except OSError:
            return
        else:
            if stat.S_ISFIFO(found.st_mode):
                self._pipes.add((found.st_dev, found.st_ino))
            if stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) in _TERMINALS:
                self._terminals.add(found.st_rdev)
            self._proc_files += found.st_dev == self._places.proc

    def note_sent(self, *, unseen: bool) -> None:
        """Note whether there are sockets that no process holds: those are in messages, and more may be."""
        self._sent = _MOST_SENT if unseen else self._sent

    @property
    def out_of_sight(self) -> int:
        """Bytes that may be held where nobody sees them."""
        return (self._sent + self._rulesets) * _OUT_OF_SIGHT

    def total(self) -> int:
        """Return the bytes."""
        # What is read from an fdinfo stays with its descriptor.
        proc_files = self._proc_files * (_PROC_FILE + self._most_watched * _WATCHED)
        return self._bytes + proc_files + (len(self._pipes) + len(self._terminals) + self._sent) * _PIPE


def _link(path: str) -> str:
    """Return what a descriptor is; of one that is hidden the costly kinds, "" for one that is gone."""
    try:
        return os.readlink(path)
    except PermissionError:
        return "inotify landlock"
    except OSError:
        return ""
