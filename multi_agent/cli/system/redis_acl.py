"""`multi-agent redis-acl`."""

from __future__ import annotations

from typing import BinaryIO

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_line, print_text
from contracts.bus.bus_users import make_bus_users, read_passwords


@click.command()
@click.option(
    "--passwords",
    type=click.File("rb"),
    help="A file with USER=PASSWORD, one a line; - for standard input. The others get new ones.",
)
def redis_acl(passwords: BinaryIO | None) -> None:
    """Print users for a Redis of your own, one for each kind of process, as its `aclfile`.

    Each may do what its processes do, and nothing else. Passwords stand there as hashes; new ones are shown
    once, on standard error.
    """
    given = read_passwords(_text(passwords)) if passwords else {}
    users = make_bus_users(given)
    for user, password in users.made.items():
        print_line(f"{user}={password}", err=True)
    print_text(users.acl.removesuffix("\n"))


def _text(file: BinaryIO) -> str:
    try:
        return file.read().decode()
    except UnicodeDecodeError:
        raise InvalidInput("passwords: is no UTF-8 text; write one as USER=PASSWORD, one a line") from None
