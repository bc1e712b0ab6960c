"""Identifiers: never the same twice, in no process."""

from __future__ import annotations

import os

from contracts.base.identifiers import new_id


def test_identifiers_differ() -> None:
    found = {new_id() for _ in range(10_000)}
    assert len(found) == 10_000
    assert all(len(one) == 32 for one in found)


def test_a_forked_process_has_its_own() -> None:
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "\n".join(new_id() for _ in range(1_000)).encode())
        os._exit(0)
    mine = {new_id() for _ in range(1_000)}
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as told:
        theirs = set(told.read().split())
    assert len(theirs) == 1_000
    assert not mine & theirs
