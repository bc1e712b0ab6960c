"""Calls the git program: hardened, limited in time, with one type of error."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from contracts.base.errors import ArtifactError, NotConfigured, StoreUnavailable

LOCAL_SECONDS = 120.0
NETWORK_SECONDS = 600.0

_NO_ROOM = ("No space left on device", "Out of diskspace", "Disk quota exceeded")
_SHORT = (
    "Too many open files",
    "Resource temporarily unavailable",
    "Cannot allocate memory",
    "unable to create thread",
)
_OLDEST = (2, 30)
_FSYNC_COMPONENTS = (2, 36)
_ANSWERS_AT_ONCE = (2, 34)
_GLOBAL_CONFIG_SWITCH = (2, 32)
_GLOBAL_CONFIG = Path(__file__).with_name("hardened.gitconfig")
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.logAllRefUpdates=false",
    "core.warnAmbiguousRefs=false",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.version=2",
    "protocol.allow=never",
)


class GitFailed(ArtifactError):
    """A git process ended with an error. `returncode` is negative for a signal, None after a timeout."""

    def __init__(self, command: str, returncode: int | None, stderr: str, stdout: bytes = b"") -> None:
        how = "took too long and was ended" if returncode is None else f"ended with status {returncode}"
        super().__init__(f"git {command} {how}: {stderr.strip()[-2_000:] or 'no message'}")
        self.returncode = returncode
        self.stdout = stdout


@lru_cache(maxsize=1)
def _program() -> tuple[str, tuple[int, int]]:
    path = shutil.which("git")
    if path is None:
        raise NotConfigured(
            "the program `git` is not on PATH; install it (`apt install git`, `dnf install git`, ...)"
        )
    said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < _OLDEST:
        raise NotConfigured(f"git 2.30 or newer is needed, {path} says {said.strip()!r}; install a newer one")
    return path, version


def environment() -> dict[str, str]:
    """The environment of this process without anything that configures git, plus the hardened settings."""
    # git needs PATH, HOME and the ssh agent's socket; they are not settings of this project.
    _, version = _program()
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") and name != "SSH_ASKPASS"
    }
    if version < _GLOBAL_CONFIG_SWITCH:
        env |= {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"}
    return env | {
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(_GLOBAL_CONFIG),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def options(protocol: str | None = None) -> list[str]:
    """`-c` values for a call; `protocol` is the only transport it may use (none when None)."""
    _, version = _program()
    fsync = "core.fsync=all" if version >= _FSYNC_COMPONENTS else "core.fsyncObjectFiles=true"
    allowed = [] if protocol is None else [f"protocol.{protocol}.allow=always"]
    return [*_CONFIG, fsync, *allowed]


def command(git_dir: Path | None, args: Iterable[str], protocol: str | None = None) -> list[str]:
    """The argument vector of a git call on the bare repository `git_dir`."""
    path, _ = _program()
    switches = [part for option in options(protocol) for part in ("-c", option)]
    where = [] if git_dir is None else [f"--git-dir={git_dir}"]
    return [path, *switches, *where, *args]


def run(
    args: Sequence[str],
    *,
    git_dir: Path | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
    protocol: str | None = None,
    inherit: tuple[int, ...] = (),
    more: Mapping[str, str] | None = None,
) -> bytes:
    """Run git and return its output.

    inherit: file descriptors that the child keeps open.
    more: variables of its environment, which nobody else sees.

    Raises GitFailed for any status but 0, StoreUnavailable where the disk is full, NotConfigured without a
    usable git.
    """
    limit = LOCAL_SECONDS if protocol is None else NETWORK_SECONDS
    # A session of its own: an interrupt typed at the terminal must not kill git in the middle of a write.
    with subprocess.Popen(
        command(git_dir, args, protocol),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment() | dict(more or {}),
        pass_fds=inherit,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            raise GitFailed(args[0], None, f"limit {limit:.0f} s") from None
        except BaseException:
            process.kill()
            raise
        finally:
            drop_crash_report(git_dir, process.pid)
    if process.returncode != 0:
        raise failure(args[0], process.returncode, stderr, stdout)
    return stdout


def failure(name: str, returncode: int, stderr: bytes, stdout: bytes = b"") -> GitFailed | StoreUnavailable:
    """Make the error for a git process that failed: StoreUnavailable where the disk is full, and where git,
    whose limits are those of this process, was short of descriptors, processes or memory."""
    said = stderr.decode("utf-8", "replace")
    if any(reason in said for reason in _SHORT):
        short = StoreUnavailable(f"git is short of resources: {said.strip()[-500:]}")
        short.__cause__ = OSError(errno.EAGAIN, "git is short of resources")
        return short
    if any(reason in said for reason in _NO_ROOM):
        return StoreUnavailable(f"the artifact store has no room left, free some space: {said[-500:]}")
    return GitFailed(name, returncode, said, stdout)


def ceiling(folder: Path) -> dict[str, str]:
    """With these variables Git looks for no repository in this folder or above it."""
    return {"GIT_CEILING_DIRECTORIES": str(folder)}


def users_setting(folder: Path, name: str) -> str | None:
    """What the user's own settings of Git say in a folder; None for nothing. Reading them runs nothing."""
    path, _ = _program()
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    said = subprocess.run(
        [path, "config", "--get", name],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LOCAL_SECONDS,
        check=False,
    )
    return said.stdout.decode("utf-8", "replace").removesuffix("\n") if said.returncode == 0 else None


def answers_at_once() -> bool:
    """Whether `update-ref --stdin` reports each step at once, so that a caller can wait for it."""
    _, version = _program()
    return version >= _ANSWERS_AT_ONCE


def drop_crash_report(git_dir: Path | None, pid: int) -> None:
    """Delete what fast-import leaves behind for each failure; it repeats what the error already says."""
    if git_dir is not None and git_dir.is_dir():
        (git_dir / f"fast_import_crash_{pid}").unlink(missing_ok=True)
