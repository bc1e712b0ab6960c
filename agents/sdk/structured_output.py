"""Getting a valid document from a model: ask, check, and send problems back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Generic, TypeAlias, TypeVar

from agents.sdk.exchange_log import ExchangeLog
from contracts.base.answers.parts import part_wanted
from contracts.base.answers.so_far import AnswerSoFar
from contracts.base.errors import AgentFailure, InvalidDocument, LimitExceeded
from contracts.base.model import Document
from contracts.base.model_answer import check_size, parse_answer
from contracts.base.processes.bounded_call import bounded_call, importable
from contracts.base.strict_json import to_json, validate
from contracts.base.text import shortened
from contracts.ports.model import ModelMessage, ModelRequest

MAX_REPAIRS: Final = 2
_MAX_PROBLEMS: Final = 20
_MAX_ECHO: Final = 200_000

D = TypeVar("D", bound=Document)
Check: TypeAlias = Callable[[D], Awaitable[None] | None]
"""Raises AgentFailure for a document that cannot be used; one that no other answer mends is not retryable."""


class Dialogue(Generic[D]):
    """Asks a model for one document, with at most MAX_REPAIRS repairs, of a part alone where that will do."""

    def __init__(self, exchanges: ExchangeLog, model_cls: type[D], check: Check[D]) -> None:
        self._exchanges = exchanges
        self._model_cls = model_cls
        self._check = check

    async def run(self, request: ModelRequest) -> D:
        """Return the first valid answer. Raises the AgentFailure of the last answer when none is valid."""
        so_far, asked = AnswerSoFar(), request
        for repairs in range(1 + MAX_REPAIRS):
            said = (await self._exchanges.complete(asked)).text
            try:
                return await self._read(so_far, said)
            except InvalidDocument as error:
                failure = self._no_document(error)
                await so_far.ask_for(error.problems)
            except AgentFailure as error:
                failure = error
            if repairs == MAX_REPAIRS or not failure.retryable:
                raise failure
            wanted = _correction(str(failure), so_far.part)
            turns = (ModelMessage("model", shortened(said, _MAX_ECHO)), wanted)
            schema = None if so_far.part else request.response_schema  # which is that of the whole
            asked = replace(asked, messages=asked.messages + turns, response_schema=schema)
        raise AssertionError("unreachable: the last round returns or raises")

    async def _read(self, so_far: AnswerSoFar, said: str) -> D:
        """Raises InvalidDocument, and what the check raises."""
        try:
            document = await self._document(await so_far.add(said))
            checked = self._check(document)
            if checked is not None:
                await checked
        except LimitExceeded as error:
            raise AgentFailure(f"the answer {error}; answer with less", code="invalid_answer") from error
        return document

    def _no_document(self, error: InvalidDocument) -> AgentFailure:
        problems = [f"- {problem}" for problem in error.problems[:_MAX_PROBLEMS]]
        message = f"the answer is no valid {self._model_cls.__name__}:\n" + "\n".join(problems)
        return AgentFailure(message, code="invalid_answer")

    async def _document(self, text: str) -> D:
        check_size(text)
        if importable(self._model_cls):
            return await bounded_call(len(text), read_document, self._model_cls, text)
        answer = await bounded_call(len(text), json_in, text)
        return validate(self._model_cls, answer, "answer")


def read_document(model_cls: type[D], text: str) -> D:
    """Return the document in an answer. Raises InvalidDocument."""

    def fits(found: object) -> bool:
        try:
            validate(model_cls, to_json(found, "answer"), "answer")
        except InvalidDocument:
            return False
        return True

    return validate(model_cls, to_json(parse_answer(text, fits=fits), "answer"), "answer")


def json_in(text: str) -> bytes:
    """Return the JSON document in an answer, and nothing else. Raises InvalidDocument."""
    return to_json(parse_answer(text), "answer")


def _correction(problems: str, part: str) -> ModelMessage:
    wanted = part_wanted(part) if part else "Answer again, with the whole corrected JSON document alone."
    return ModelMessage("user", f"The answer cannot be used:\n{problems}\n\n{wanted}")
