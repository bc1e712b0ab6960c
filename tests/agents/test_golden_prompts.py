"""What roles are told first: pinned as text in a repository, and by its hash from nothing.

Recordings of runs from nothing are found by these hashes.
"""

from __future__ import annotations

import pytest

from contracts.ports.request_hash import request_hash
from tests.agents.golden.prompts import FOLDER, ROLES, first_request, shown
from tests.agents.over_trees import OverTrees

PINNED = {
    "architect": "8db91880aab42fad64dfb05ff63202c6995a896182e06b36feec8475ea87157b",
    "coder": "17f927083998ae72086a37c4876a59fe4f2a3123b49c18098c75bed3f4f01c3c",
    "tester": "5ce8ef9b346e12537ecf1c01052b5c4f01ca072a54f1e72c3b6e653de1e12a15",
    "debugger": "216c4b8580d6b4aec044ab0385cc7722523354a8433d13062a1841dd5b5c1cd3",
    "reviewer": "5b143d072fba31913978d564505b2119d773f3965025a375c0ec8aa89e5063be",
}


@pytest.mark.parametrize("role", ROLES)
async def test_what_a_role_is_told_in_a_repository(over_trees: OverTrees, role: str) -> None:
    told = shown(await first_request(role, over_trees))
    assert told == (FOLDER / f"{role}.md").read_text(), "python -m tests.agents.golden writes it anew"


@pytest.mark.parametrize("role", PINNED)
async def test_what_a_role_is_told_from_nothing_stays_to_the_byte(role: str) -> None:
    assert request_hash(await first_request(role)) == PINNED[role]
