"""The exchange log: stores every model answer before it is used, so that no answer is paid for twice."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from pydantic import TypeAdapter

from contracts.base.errors import ModelRefused
from contracts.base.failpoints import failpoint
from contracts.messages.payloads import Usage
from contracts.ports.exchanges import ASKED_ANEW, ExchangeStore
from contracts.ports.model import PURSE, ModelClient, ModelRequest, ModelResponse
from contracts.ports.request_hash import request_hash

FRESH_SECONDS: Final = 1.0
_NOTHING_USED: Final = Usage()
_RESPONSE: Final = TypeAdapter(ModelResponse)


@dataclass(frozen=True, slots=True)
class ExchangeScope:
    """The attempt that the exchanges belong to."""

    workflow_id: str
    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class LastStep:
    """What a workspace held after a step."""

    tree: str
    """The name of its tree; "" as long as nothing was changed."""
    written: tuple[str, ...]
    """Paths that tools have written."""


class ExchangeLog:
    """Asks the model during one execution of one task.

    An exchange is stored under (workflow, task, ordinal, request hash). When the same attempt is executed
    again after a crash, it reads the stored answers at no cost. An attempt that failed because of its answers
    leaves a note (`note_failure`). The notes of earlier attempts are part of every later request, so its hash
    differs and the useless answer is not read back.
    """

    def __init__(self, scope: ExchangeScope, model: ModelClient, exchanges: ExchangeStore) -> None:
        self._scope = scope
        self._model = model
        self._exchanges = exchanges
        self._hashes: list[str] = []
        self._earlier: str | None = None
        self.usage = _NOTHING_USED
        self.last_step = LastStep("", ())
        """For whoever ends this execution before its work is done."""
        self.model_name: str | None = None

    @property
    def attempt(self) -> int:
        """Of the task, 1 for the first."""
        return self._scope.attempt

    @property
    def prompt_hash(self) -> str | None:
        """SHA-256 over the request hashes in the order of the requests, None without a request."""
        return hashlib.sha256("\n".join(self._hashes).encode()).hexdigest() if self._hashes else None

    async def complete(self, request: ModelRequest) -> ModelResponse:
        """Return the model's answer, newly stored or read back.

        Raises the model's errors and StoreUnavailable.
        """
        ordinal = len(self._hashes)
        self._hashes.append("")
        request = replace(request, system=request.system + await self._earlier_failures())
        hashed = self._hashes[ordinal] = request_hash(request)
        key = f"{ordinal}:{hashed}"
        stored = await self._stored_answer(key)
        if stored is None:
            failpoint("worker.before_model", f"{self._scope.workflow_id} {self._scope.task_id} {key}")
            started = time.time()
            response = await self._model.complete(request)
            call = {"attempt": self._scope.attempt, "started": started, "ended": time.time()}
            self._count(response)
            failpoint("worker.after_model")
            await self._save(key, _exchange(request, response, call))
            failpoint("worker.after_exchange", f"{self._scope.workflow_id} {self._scope.task_id} {key}")
        else:
            response = _RESPONSE.validate_python(json.loads(stored)["response"])
            if (purse := PURSE.get()) is not None and response.amount is not None:
                purse.read_back(hashed, response.amount)
        self.model_name = response.model
        if not response.contents and not request.tools:
            raise ModelRefused(f"the model's answer for {request.purpose} is empty")
        return response

    async def _stored_answer(self, key: str) -> bytes | None:
        """Read the stored exchange; read again when the first read was slow and found nothing.

        This process may have been suspended during the read. Its result is then as old as the suspension was
        long, and another worker may have received the task and stored an answer since.
        """
        began = time.monotonic()
        stored = await self._load(key)
        if stored is None and time.monotonic() - began > FRESH_SECONDS:
            stored = await self._load(key)
        return stored

    async def step(self) -> bytes | None:
        """What was stored with `note_step` behind the last answer, None when nothing was."""
        return await self._load(self._step_key)

    async def note_step(self, content: bytes) -> None:
        """Store what followed the last answer; it is durable when this returns."""
        await self._save(self._step_key, content)

    async def create(self, key: str, content: bytes) -> bool:
        """Store the content unless there is another under the key; whether it is there now, durably."""
        scope = self._scope
        return await self._exchanges.create_exchange(scope.workflow_id, scope.task_id, key, content)

    @property
    def _step_key(self) -> str:
        return f"step:{len(self._hashes) - 1}:{self._hashes[-1]}"

    async def note_failure(self, reason: str) -> None:
        """Store why this attempt's answers were useless. `reason` must be the same text on any machine."""
        if self._hashes:
            await note_failure(self._exchanges, self._scope, reason)

    async def _earlier_failures(self) -> str:
        if self._earlier is None:
            notes = []
            for attempt in range(1, self._scope.attempt):
                stored = await self._load(f"failed:{attempt}")
                if stored is not None:
                    note = json.loads(stored)
                    asked = f"; {ASKED_ANEW}" if note.get("asked_anew") else ""
                    notes.append(f"- attempt {attempt}: {note['reason']}{asked}\n")
            heading = "\n\nEarlier attempts at this task failed. Avoid:\n"
            self._earlier = "".join([heading, *notes]) if notes else ""
        return self._earlier

    def _count(self, response: ModelResponse) -> None:
        self.usage = self.usage.plus(response.usage)

    async def _load(self, key: str) -> bytes | None:
        return await self._exchanges.load_exchange(self._scope.workflow_id, self._scope.task_id, key)

    async def _save(self, key: str, content: bytes) -> None:
        await self._exchanges.save_exchange(self._scope.workflow_id, self._scope.task_id, key, content)


async def note_failure(exchanges: ExchangeStore, scope: ExchangeScope, reason: str) -> None:
    """Store why an attempt's answers were useless; a reason that is known already stays."""
    key = f"failed:{scope.attempt}"
    if await exchanges.load_exchange(scope.workflow_id, scope.task_id, key) is None:
        content = json.dumps({"reason": reason}).encode()
        await exchanges.save_exchange(scope.workflow_id, scope.task_id, key, content)


async def note_asked_anew(exchanges: ExchangeStore, scope: ExchangeScope, answers: str) -> None:
    """Store that a person asks for other answers than an attempt's, whose failure may be noted already.

    answers: what a person had answered to its questions.
    """
    key = f"failed:{scope.attempt}"
    stored = await exchanges.load_exchange(scope.workflow_id, scope.task_id, key)
    if stored is None:
        note: dict[str, object] = {"reason": ASKED_ANEW + answers}
    else:
        note = json.loads(stored)
        note["asked_anew"] = ASKED_ANEW not in str(note["reason"])
    content = json.dumps(note).encode()
    await exchanges.save_exchange(scope.workflow_id, scope.task_id, key, content)


def _without_empty(message: dict[str, Any]) -> dict[str, Any]:
    """A message of text alone, as it was kept before there were blocks."""
    return message if message["blocks"] else {"role": message["role"], "text": message["text"]}


def _exchange(request: ModelRequest, response: ModelResponse, call: Mapping[str, float]) -> bytes:
    """call: when it was made, for traces; the work does not depend on it."""
    document = {
        "request": {
            "purpose": request.purpose,
            "system": request.system,
            "messages": [_without_empty(asdict(message)) for message in request.messages],
        },
        "response": asdict(response),
        "call": call,
    }
    return json.dumps(document, sort_keys=True).encode()
