"""The users of a Redis server, one for each kind of process, and their passwords."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.base.errors import InvalidInput
from contracts.bus.access import BusUser, acl_file

_BYTES: Final = 32
_LEAST: Final = 16
_FORM: Final = "lines of the form USER=PASSWORD"


@dataclass(frozen=True, slots=True)
class BusUsers:
    """What a server is told, and what the processes are."""

    acl: str
    """An `aclfile` of Redis 7; passwords are in it by their SHA-256."""
    made: Mapping[BusUser, str]
    """Passwords that were made just now, and are kept nowhere."""


def make_bus_users(given: Mapping[BusUser, str]) -> BusUsers:
    """Describe the users; those without a password get a new one. Raises InvalidInput."""
    for user, password in given.items():
        if len(password) < _LEAST:
            raise InvalidInput(
                f"password of {user}: has {len(password)} characters, must have at least {_LEAST}; "
                "leave it out to get a new one"
            )
    twice = {password for password in given.values() if list(given.values()).count(password) > 1}
    if named := [user for user, password in given.items() if password in twice]:
        raise InvalidInput(f"password of {named[1]}: is that of {named[0]} too; give each user another one")
    made = {user: secrets.token_hex(_BYTES) for user in BusUser if user not in given}
    return BusUsers(acl_file({**given, **made}), made)


def read_passwords(text: str) -> dict[BusUser, str]:
    """Read USER=PASSWORD, one a line. Raises InvalidInput, which shows no password."""
    found: dict[BusUser, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, sign, password = line.partition("=")
        if not sign:
            raise InvalidInput(f"passwords, line {number}: must be {_FORM}")
        try:
            user = BusUser(name.strip())
        except ValueError:
            raise InvalidInput(
                f"passwords, line {number}: no user has that name; there are {', '.join(BusUser)}"
            ) from None
        if user in found:
            raise InvalidInput(f"passwords, line {number}: {user} has one already; leave one of them")
        found[user] = password.strip()
    return found
