"""A data folder full of text that tries to speak to the terminal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from artifacts import create_store, open_store
from contracts.base.refs import RESULT
from contracts.documents.todo_list import TodoItem, TodoList
from contracts.messages.journal import OutcomeRefused
from contracts.ports.artifacts import RefMove
from multi_agent.gateway.preparing import PreparedRequest
from multi_agent.gateway.records.record import record_of
from multi_agent.gateway.records.store import LoggedRequest, RequestStore
from multi_agent.gateway.request_line import RequestLine
from multi_agent.gateway.routes import ModelAddress
from multi_agent.models.wire.failures import WireFailure
from orchestrator.client.views import WorkerView
from orchestrator.core.commands import Terms
from orchestrator.core.events import Merged
from orchestrator.scheduling.batch import Batch, DeadLetter
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.ownership import OrchestratorEntry
from orchestrator.storage.sql.database import open_database
from tests.artifacts.builders import outcome
from tests.release.history import Desk

EVIL = "\x1b[5m\x1b]0;owned\x07\x9b2J\x85\u202etxt.exe\u2066\u200b\u2028\u3164\ufe0f\U000e0041\x7f\r"
"""Blinks, sets a title, clears, turns the order, hides, overwrites; nothing of ours ever blinks."""
MARK = "EVIL"
WIDE = ("漢字" * 60, "e\u0301" * 150, "plain " * 40)
HOSTILE = f"{MARK} {EVIL} 漢字 e\u0301"


def item(task_id: str, *needs: str, **fields: Any) -> TodoItem:
    return TodoItem(
        task_id=task_id,
        title=HOSTILE,
        description=HOSTILE,
        agent_role=fields.pop("role", "coder"),
        dependencies=needs,
        output_artifacts=(f"{task_id}.py",),
        **fields,
    )


def write_hostile_folder(data: Path) -> None:
    """Fill a data folder: workflows in every state, dead letters, processes, commits."""
    data.mkdir()
    asyncio.run(_write(data))
    _write_requests(data / "gateway" / "requests.db")


def _write_requests(path: Path) -> None:
    """A request log of one request, whose caller says such things."""
    line = RequestLine("r-1", "chat", "answer", key="ann", status=502, session=EVIL.replace("\r", ""))
    line.prepared = PreparedRequest(model=HOSTILE, address=ModelAddress("openai", HOSTILE), lost=(HOSTILE,))
    line.failure = WireFailure("server", HOSTILE)
    store = RequestStore(path)
    store.add([LoggedRequest(record_of(line, str)), LoggedRequest(replace(record_of(line, str), failure=""))])
    store.close()


async def _write(data: Path) -> None:
    url = f"sqlite:///{data / 'state.db'}"
    upgrade(url)
    database = open_database(url)
    store = open_store(str(create_store(data / "artifacts.git")), data / "cache")
    try:
        desk = Desk(database)
        await _processes(desk)
        [commit] = await store.write(
            [outcome("code", {"code.py": HOSTILE.encode()}, workflow_id="done", subject=HOSTILE)]
        )
        await store.publish([RefMove("done", "code", commit), RefMove("done", RESULT, commit)])
        await _workflows(desk, commit)
        letter = DeadLetter(f"stream {EVIL}", HOSTILE, HOSTILE.encode(), logs=f"line\n{HOSTILE}")
        await desk.store.commit(Batch(now=desk.now, dead_letters=[letter]), desk.assignment)
    finally:
        await store.close()
        await database.close()


async def _processes(desk: Desk) -> None:
    await desk.start("orchestrator-1")
    await desk.store.ownership.renew(OrchestratorEntry("orchestrator-1", HOSTILE, 1, desk.now), HOSTILE)
    await desk.store.add_worker(WorkerView(HOSTILE, HOSTILE, 2, (HOSTILE,), (), 1, desk.now))


async def _workflows(desk: Desk, commit: str) -> None:
    await submit(desk, "done", item("code"))
    await desk.finish("done", "code", commit=commit, summary=f"\n{HOSTILE}\n{HOSTILE}")
    await desk.give("done", Merged(commit))
    await submit(desk, "failed", item("code", max_retries=0))
    error = {"code": "broken", "message": HOSTILE}
    await desk.finish("failed", "code", status="failed", error=error, worker_id="w")
    await desk.record("failed", OutcomeRefused("code", HOSTILE, "d-0", "e-d-0"))
    await submit(desk, "dead", item("code"))
    for _ in range(3):
        await desk.lose("dead", "code")
    await submit(desk, "cancelled", item("code"))
    await desk.client.cancel("cancelled", HOSTILE)
    await submit(desk, "rejected", item("code", requires_approval=True))
    await desk.client.reject("rejected", "code", HOSTILE, HOSTILE)
    await desk.apply_commands()
    wide = [item(f"t{number}").model_copy(update={"title": title}) for number, title in enumerate(WIDE)]
    await submit(desk, "wide", *wide)
    await submit(desk, "waiting", item("code", requires_approval=True))
    await submit(desk, "asking", item("code"))
    asked = {"question": {"text": f"{HOSTILE}\n{HOSTILE}", "choices": [HOSTILE]}}
    await desk.finish("asking", "code", status="suspended", suspended=asked)


async def submit(desk: Desk, workflow_id: str, *items: TodoItem) -> None:
    plan = TodoList(todo_list_id="plan", request=f"{HOSTILE}\n{HOSTILE}", items=items)
    await desk.client.submit(plan, workflow_id=workflow_id, terms=Terms(questions=True))
    await desk.apply_commands()
