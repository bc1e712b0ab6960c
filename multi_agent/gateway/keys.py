"""Virtual keys: what callers show instead of the keys of services. Only hashes of them are kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from contracts.base.errors import InvalidDocument, InvalidInput, NotConfigured
from contracts.base.processes.command_lines import command_line
from contracts.base.strict_json import validate
from multi_agent.gateway.budgets.limits import KeyLimits
from multi_agent.gateway.routes import ANY, matches

_PREFIX: Final = "gateway-"
SECRET_PATTERN: Final = rf"{_PREFIX}[A-Za-z0-9_-]{{43}}"
"""What a key looks like."""
_KIND: Final = "gateway keys"
_DAY: Final = 86_400.0
_LOCK_SECONDS: Final = 10.0
_LOCK_PAUSE: Final = 0.01


class VirtualKey(KeyLimits):
    """One key."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{1,100}$")]
    """Who it is, in the log."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    models: tuple[str, ...] = (ANY,)
    """Patterns of the names that may be asked for."""
    expires: float | None = None
    """Seconds since 1970; None for never."""

    def may_ask(self, model: str) -> bool:
        """Whether a model may be asked for by this name."""
        return matches(model, self.models)

    def has_expired(self, now: float) -> bool:
        """Whether it counts no more."""
        return self.expires is not None and now >= self.expires


class KeyList(BaseModel):
    """The file of keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[VirtualKey, ...] = ()


EVERYBODY: Final = VirtualKey(name="everybody", sha256="0" * 64)
"""Whoever asks a gateway without keys, which listens on the loopback alone."""


class KeyFile:
    """The keys in a file; a change counts with the next request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._by_hash: dict[str, VirtualKey] = {}

    def find(self, secret: str) -> VirtualKey | None:
        """The key that a caller shows; None for one that there is not, or no more.

        Raises NotConfigured for a file that cannot be read: then nobody is let in.
        """
        self.check()
        found = self._by_hash.get(hash_of(secret))
        return None if found is None or found.has_expired(time.time()) else found

    def check(self) -> None:
        """Read the file if it has changed. Raises NotConfigured."""
        try:
            state = self._path.stat()
        except OSError as error:
            raise _unreadable(self._path, error.strerror or "is away") from None
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        if seen != self._seen:
            self._by_hash = {key.sha256: key for key in read_keys(self._path).keys}
            self._seen = seen


def read_keys(path: Path) -> KeyList:
    """The keys of a file. Raises NotConfigured."""
    try:
        return validate(KeyList, path.read_bytes(), _KIND)
    except OSError as error:
        raise _unreadable(path, error.strerror or "cannot be read") from None
    except InvalidDocument as error:
        raise _unreadable(path, str(error.problems[0])) from None


def _unreadable(path: Path, reason: str) -> NotConfigured:
    return NotConfigured(
        f"the file of keys {path}: {reason}; make one with `{command_line('gateway-key', 'NAME')}`"
    )


def add_key(
    path: Path, name: str, models: tuple[str, ...], days: float | None, limits: KeyLimits | None = None
) -> str:
    """Add a key to a file, which is made if there is none; the key, which is kept nowhere.

    Raises InvalidInput for a name that is taken or none, and what `read_keys` raises.
    """
    secret = _PREFIX + secrets.token_urlsafe(32)
    expires = None if days is None else time.time() + days * _DAY
    try:
        key = VirtualKey(
            name=name,
            sha256=hash_of(secret),
            models=models or (ANY,),
            expires=expires,
            **(limits.limits if limits else {}),
        )
    except ValueError:
        raise InvalidInput(
            f"{name[:120]!r} is no name of a key; use at most 100 letters, digits and . _ @ -"
        ) from None
    with _changing(path):
        known = read_keys(path).keys if path.exists() else ()
        if any(one.name == name for one in known):
            raise InvalidInput(
                f"there is a key {name!r} in {path}; choose another name, --remove it, or --change its limits"
            )
        _write(path, KeyList(keys=(*known, key)))
    return secret


def remove_key(path: Path, name: str) -> None:
    """Take a key out of a file. Raises InvalidInput where it is not, and what `read_keys` raises."""
    with _changing(path):
        known = read_keys(path).keys
        _check_there(path, name, known)
        _write(path, KeyList(keys=tuple(key for key in known if key.name != name)))


def change_limits(path: Path, name: str, limits: KeyLimits) -> VirtualKey:
    """Set limits of a key, and leave the others as they are. Raises as `remove_key`."""
    with _changing(path):
        known = read_keys(path).keys
        _check_there(path, name, known)
        changed = {key.name: key for key in known}
        changed[name] = changed[name].model_copy(update=limits.limits)
        _write(path, KeyList(keys=tuple(changed.values())))
    return changed[name]


def ledger_path(keys: Path) -> Path:
    """The ledger of what the keys in a file have taken: beside it, so that one file of keys has one."""
    return keys.with_name(f"{keys.name}.ledger")


def _check_there(path: Path, name: str, known: Iterable[VirtualKey]) -> None:
    names = [key.name for key in known]
    if name not in names:
        there = ", ".join(names) or "none"
        raise InvalidInput(f"there is no key {name[:120]!r} in {path}; there are: {there}")


def hash_of(secret: str) -> str:
    """What is kept of a key. It has 256 random bits, so that a plain hash cannot be guessed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Let nobody else change the file while the block does. Raises InvalidInput.

    The file is replaced, so its folder is locked: whoever changes it waits for that, and readers do not.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unwritable(path, error.strerror) from None
    try:
        _lock(folder, path)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, path: Path) -> None:
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise _unwritable(path, "another process changes it; try again") from None
            time.sleep(_LOCK_PAUSE)
        except OSError as error:
            raise _unwritable(path, error.strerror) from None
        else:
            return


def _unwritable(path: Path, reason: str | None) -> InvalidInput:
    return InvalidInput(f"the file of keys {path} cannot be written: {reason}")


def _write(path: Path, keys: KeyList) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write_private(draft, keys.model_dump_json(indent=2, exclude_none=True) + "\n")
        draft.replace(path)
    except OSError as error:
        raise _unwritable(path, error.strerror) from None


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
