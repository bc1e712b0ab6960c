"""Dead letters: stored once, looked at, retried, discarded (I7)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from contracts.base.errors import InvalidInput
from contracts.messages.channels import Channels
from contracts.messages.payloads import MAX_LOGS, TaskError
from contracts.ports.bus import Delivery, Outgoing
from contracts.runtime.dead_letter import MAX_KEPT_BYTES
from multi_agent.bootstrap import make_database, upgrade_database
from multi_agent.cli import cli
from multi_agent.cli.dead_letters.text import shown_bytes
from multi_agent.runtime.log_tail import last_lines
from multi_agent.settings import Settings
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.sharding import ShardAssignment
from orchestrator.core.state import Workflow
from orchestrator.scheduling.batch import Batch, DeadLetter
from orchestrator.scheduling.dead_letters import StoredDeadLetter, dead_lettered_task, unreadable
from orchestrator.storage.dead_letters import MOST_MESSAGES, drop_oldest_messages
from orchestrator.storage.sql.database import Database
from orchestrator.storage.store import Store
from tests.orchestrator.plans import item, plan

NONSENSE = Delivery(Channels.results(3), "7-0", b"\xff\x1b[2J not an event")


async def buried(database: Database, *letters: DeadLetter) -> list[StoredDeadLetter]:
    store = Store(database)
    await store.commit(Batch(now=5.0, dead_letters=list(letters)), ShardAssignment({}))
    return await WorkflowClient(database).dead_letters()


async def test_a_delivery_that_comes_again_after_a_crash_leaves_one_letter(database: Database) -> None:
    letter = unreadable(NONSENSE, "no JSON")
    await buried(database, letter, letter)
    [kept] = await buried(database, letter)
    assert (kept.stream, kept.reason, kept.raw) == (NONSENSE.stream, "no JSON", NONSENSE.payload)


async def test_the_same_bytes_in_another_entry_are_another_letter(database: Database) -> None:
    again = NONSENSE._replace(entry_id="8-0")
    assert len(await buried(database, unreadable(NONSENSE, "no"), unreadable(again, "no"))) == 2


async def test_any_text_can_be_kept(database: Database) -> None:
    [kept] = await buried(database, DeadLetter("s", "a\0b", b"\0", logs="c\0d"))
    assert (kept.reason, kept.raw, kept.logs) == ("a\ufffdb", b"\0", "c\ufffdd")


@pytest.mark.parametrize(
    ("retried", "open_letters"), [(("w", "a"), ["w/b", "v/a", None]), (("w", None), ["v/a", None])]
)
async def test_fresh_attempts_for_a_task_work_off_its_letters(
    database: Database, retried: tuple[str, str | None], open_letters: list[str | None]
) -> None:
    tasks = [("w", "a"), ("w", "b"), ("v", "a")]
    letters = [DeadLetter("s", "r", b"", *place, origin="/".join(place)) for place in tasks]
    await buried(database, *letters, DeadLetter("s", "a mere message", b""))
    await Store(database).commit(Batch(now=7.0, retried=[retried]), ShardAssignment({}))
    found = await WorkflowClient(database).dead_letters(resolved=True)
    still = [one.task_id and f"{one.workflow_id}/{one.task_id}" for one in found if one.resolved_at is None]
    assert still == open_letters
    assert {(one.resolution, one.resolved_at) for one in found} == {(None, None), ("retried", 7.0)}


async def test_an_unknown_letter_is_a_clear_error(database: Database) -> None:
    client = WorkflowClient(database)
    with pytest.raises(InvalidInput, match="no dead letter 9"):
        await client.retry_dead_letter(9, "me")


def test_bytes_that_are_no_text_are_shown_in_hexadecimal() -> None:
    assert shown_bytes("grün".encode()) == "grün"
    assert shown_bytes(b"\xff\x1b") == "ff 1b"


def test_a_supervisor_knows_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    assert last_lines(log) is None
    log.write_bytes(b"x" * 100_000 + b"".join(b"line %d \xff\0\n" % number for number in range(50)))
    shown = str(last_lines(log)).splitlines()
    assert (len(shown), shown[0], shown[-1]) == (40, "line 10 \ufffd\ufffd", "line 49 \ufffd\ufffd")
    log.write_bytes(b"y" * 100_000)
    assert len(str(last_lines(log))) == MAX_LOGS


def message(number: int, size: int = 1) -> DeadLetter:
    return DeadLetter(NONSENSE.stream, "no", b"x" * size, origin=f"o-{number}")


def dead_task(size: int = 1) -> DeadLetter:
    return DeadLetter("s", "it died", b"x" * size, "w", "a", origin="w/a/1")


async def test_of_messages_the_newest_are_kept_and_tasks_always(database: Database) -> None:  # I9
    await buried(database, dead_task(), *(message(number) for number in range(MOST_MESSAGES)))
    client = WorkflowClient(database)
    assert await client.dropped_messages() == 0
    for number in range(2):
        await buried(database, *(message(MOST_MESSAGES + 2 * number + more) for more in range(2)))
    kept = await client.dead_letters(limit=10_000)
    assert [one.task_id for one in kept[:2]] == ["a", None]
    assert len(kept) == MOST_MESSAGES + 1
    assert await client.dropped_messages() == 4
    assert [one.dead_letter_id - kept[1].dead_letter_id for one in kept[1:]] == list(range(MOST_MESSAGES))


async def test_of_large_messages_fewer_are_kept(database: Database) -> None:  # I9
    await buried(database, dead_task(size=500), *(message(number, size=40) for number in range(5)))
    await database.write(lambda connection: drop_oldest_messages(connection, most_bytes=100))
    kept = await WorkflowClient(database).dead_letters()
    assert [len(one.raw) for one in kept] == [500, 40, 40]


def test_of_a_huge_message_the_beginning_is_kept() -> None:
    letter = unreadable(NONSENSE._replace(payload=b"x" * (MAX_KEPT_BYTES + 1)), "no JSON")
    assert len(letter.raw) == MAX_KEPT_BYTES
    assert "the first 2000000 of 2000001 bytes are kept" in letter.reason


async def test_the_list_says_how_many_were_dropped(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    upgrade_database(settings)
    database = make_database(settings)
    runner, argv = CliRunner(), ["dead-letters", "list", "--data-dir", str(tmp_path)]
    assert "dropped" not in await asyncio.to_thread(lambda: runner.invoke(cli, argv).output)
    await buried(database, *(message(number) for number in range(MOST_MESSAGES + 3)))
    await database.close()
    said = await asyncio.to_thread(runner.invoke, cli, [*argv, "--limit", "1"])
    assert said.output.startswith("3 older messages that nobody could read were dropped; at most 1000")
    as_json = await asyncio.to_thread(runner.invoke, cli, [*argv, "--limit", "1", "--json"])
    assert len(json.loads(as_json.stdout)) == 1


def test_the_letter_of_a_task_says_how_a_worker_died_last() -> None:
    [task] = Workflow.start("w", plan(item("a")), shard=0, now=0.0).tasks.values()
    dead = task._replace(crashes=3, error=TaskError(code="worker_died", message="w1 was killed"))
    letter = dead_lettered_task(Outgoing("s", b""), "w", dead, None)
    assert letter.reason == "3 workers died while they ran this task alone; the last: w1 was killed"
