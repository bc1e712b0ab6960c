"""`multi-agent redis-acl`: users with hashes, and passwords that are shown once."""

from __future__ import annotations

import hashlib
import re

import pytest
from click.testing import CliRunner

from contracts.base.errors import InvalidInput
from contracts.bus.access import BusUser
from contracts.bus.bus_users import make_bus_users, read_passwords
from multi_agent.cli.system.redis_acl import redis_acl

GIVEN = "".join(f"{user}={user.value * 4}\n" for user in BusUser)


def test_new_passwords_are_shown_once_and_stand_there_as_hashes() -> None:
    ended = CliRunner().invoke(redis_acl, [])
    shown = dict(re.findall(r"^([a-z-]+)=([0-9a-f]{64})$", ended.stderr, re.M))
    assert set(shown) == {str(user) for user in BusUser}
    assert len(set(shown.values())) == len(BusUser)
    lines = ended.stdout.splitlines()
    assert lines[0] == "user default off sanitize-payload resetchannels -@all"
    for line, (user, password) in zip(lines[1:], shown.items(), strict=True):
        digest = hashlib.sha256(password.encode()).hexdigest()
        assert line.startswith(f"user {user} on sanitize-payload #{digest} resetkeys resetchannels -@all ")
        assert password not in ended.stdout
        assert "nopass" not in line
        assert "+@" not in line


def test_given_passwords_are_shown_never() -> None:
    ended = CliRunner().invoke(redis_acl, ["--passwords", "-"], input=GIVEN)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout == make_bus_users(read_passwords(GIVEN)).acl
    assert not any(user.value * 4 in ended.stdout for user in BusUser)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("worker", r"line 1: must be lines of the form USER=PASSWORD"),
        ("\n root=0123456789abcdef", r"line 2: no user has that name; there are orchestrator, worker, .*"),
        (f"{GIVEN}worker={'x' * 16}", r"line 5: worker has one already"),
        ("worker=short", r"password of worker: has 5 characters, must have at least 16"),
        (f"worker={'x' * 16}\norchestrator={'x' * 16}", r"password of orchestrator: is that of worker too"),
    ],
)
def test_what_is_wrong_with_passwords_is_told_without_them(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as told:
        make_bus_users(read_passwords(text))
    assert "short" not in str(told.value).replace("is shorter", "")
    assert "xxxx" not in str(told.value)
