"""A private Redis with the users that `multi-agent redis-acl` prints, and one who may do all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from contracts.bus.access import BusUser
from contracts.bus.bus_users import make_bus_users
from tests.support.redis_servers import PrivateRedis


class GuardedRedis:
    """The server; `passwords` are those of its users."""

    def __init__(self, folder: Path) -> None:
        users = make_bus_users({})
        self.passwords = users.made
        rules = folder / "users.acl"
        rules.write_text(f"{users.acl}user administrator on >{'x' * 20} ~* &* +@all\n")
        self.server = PrivateRedis(options=("--aclfile", str(rules)))

    def url(self, user: BusUser) -> str:
        return self.server.url.replace("unix://", f"unix://{user}:{self.passwords[user]}@")

    def client(self, user: str) -> redis.Redis:
        """A connection as a user; commands that are refused raise NoPermissionError."""
        password = self.passwords[BusUser(user)] if user in BusUser.__members__.values() else "x" * 20
        return redis.Redis(
            unix_socket_path=str(self.server.socket), protocol=2, username=user, password=password
        )


@contextmanager
def guarded_redis() -> Iterator[GuardedRedis]:
    """Start one, and end it."""
    with tempfile.TemporaryDirectory(prefix="ma-acl-") as folder:
        guarded = GuardedRedis(Path(folder))
        guarded.server.start()
        try:
            yield guarded
        finally:
            guarded.server.stop()
