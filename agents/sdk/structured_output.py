"""Getting a valid document from a model: ask, check, and send problems back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Generic, TypeVar

from agents.sdk.exchange_log import ExchangeLog
from contracts.base.errors import AgentFailure, InvalidDocument
from contracts.base.model import Document
from contracts.base.model_answer import parse_answer
from contracts.base.strict_json import to_json, validate
from contracts.ports.model import ModelMessage, ModelRequest

MAX_REPAIRS: Final = 2
_MAX_PROBLEMS: Final = 20

D = TypeVar("D", bound=Document)


class Dialogue(Generic[D]):
    """Asks a model for one document, with at most MAX_REPAIRS repairs."""

    def __init__(self, exchanges: ExchangeLog, model_cls: type[D], check: Callable[[D], None]) -> None:
        self._exchanges = exchanges
        self._model_cls = model_cls
        self._check = check

    async def run(self, request: ModelRequest) -> D:
        """Return the first valid answer. Raises the AgentFailure of the last answer when none is valid."""
        for repairs in range(1 + MAX_REPAIRS):
            text = (await self._exchanges.complete(request)).text
            try:
                return self._read(text)
            except AgentFailure as failure:
                if repairs == MAX_REPAIRS:
                    raise
                turns = (ModelMessage("model", text), _correction(str(failure)))
                request = replace(request, messages=request.messages + turns)
        raise AssertionError("unreachable: the last round returns or raises")

    def _read(self, text: str) -> D:
        try:
            answer = to_json(parse_answer(text), "answer")
            document = validate(self._model_cls, answer, "answer")
        except InvalidDocument as error:
            problems = [f"- {problem}" for problem in error.problems[:_MAX_PROBLEMS]]
            message = f"the answer is no valid {self._model_cls.__name__}:\n" + "\n".join(problems)
            raise AgentFailure(message, code="invalid_answer") from error
        self._check(document)
        return document


def _correction(problems: str) -> ModelMessage:
    return ModelMessage(
        "user",
        f"The answer cannot be used:\n{problems}\n\n"
        "Answer again, with the whole corrected JSON document alone.",
    )
