"""A private Redis with the users that `multi-agent redis-acl` prints, and one who may do all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis

from contracts.bus.access import BusUser
from contracts.bus.bus_users import make_bus_users
from multi_agent.embedded.redis_server import redis_url
from tests.support.redis_servers import PrivateRedis

ADMINISTRATOR: Final = "administrator"


class GuardedRedis(PrivateRedis):
    """The server. Its `url` is that of the orchestrator; `command` is given by who may do all."""

    def __init__(self, folder: Path) -> None:
        users = make_bus_users({})
        self.passwords = users.made
        rules = folder / "users.acl"
        rules.write_text(f"{users.acl}user {ADMINISTRATOR} on nopass ~* &* +@all\n")
        super().__init__(options=("--aclfile", str(rules)))

    @property
    def url(self) -> str:
        return self.url_of(BusUser.ORCHESTRATOR)

    def url_of(self, user: BusUser) -> str:
        return redis_url(self.socket).replace("unix://", f"unix://{user}:{self.passwords[user]}@")

    def client(self, user: BusUser | None = None) -> redis.Redis:
        """A connection as a user, or as who may do all; what is refused raises NoPermissionError."""
        return redis.Redis(
            unix_socket_path=str(self.socket),
            protocol=2,
            username=user or ADMINISTRATOR,
            password=self.passwords[user] if user else "any",
        )

    def command(self, *words: str | bytes | int) -> Any:
        with self.client() as client:
            return client.execute_command(*words)


@contextmanager
def guarded_redis() -> Iterator[GuardedRedis]:
    """Start one, and end it."""
    with tempfile.TemporaryDirectory(prefix="ma-acl-") as folder:
        guarded = GuardedRedis(Path(folder))
        guarded.start()
        try:
            yield guarded
        finally:
            guarded.stop()
