"""From the body that a caller sent to the one that a service gets, and back for whole answers. Pure.

Bodies are foreign and may be large: what is here runs in a child process where they are, so arguments and
results are plain data, and bodies are bytes on both ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.base.errors import InvalidDocument, Problem
from contracts.base.strict_json import read_json
from multi_agent.gateway.budgets.bound import (
    NOTHING,
    RequestBound,
    added_tokens,
    answers_asked,
    cache_surcharge,
    output_limit,
    unbounded,
    with_output_limit,
)
from multi_agent.gateway.keys import VirtualKey
from multi_agent.gateway.questions import CallerQuestion, session_of
from multi_agent.gateway.routes import FORMATS_OF, NOWHERE, ModelAddress, ModelRoutes
from multi_agent.models.wire import sse
from multi_agent.models.wire.canonical import FormatName, WireCaller, WireService, WireUsage
from multi_agent.models.wire.chat_format.requests import wants_stream_usage
from multi_agent.models.wire.checks import MOST_BYTES
from multi_agent.models.wire.convert import ConvertedRequest, convert_request, convert_response, streamed
from multi_agent.models.wire.counting import asked_to_count, counted, token_bound
from multi_agent.models.wire.failures import WireFailure, failure_body


@dataclass(frozen=True, slots=True)
class GatewayRules:
    """What decides which service gets what."""

    routes: ModelRoutes
    service: WireService = field(default_factory=WireService)
    speaks_responses: bool = False
    """Whether the service `openai` is OpenAI itself, which has responses beside chat completions."""

    def format_for(self, address: ModelAddress, asked: FormatName) -> FormatName:
        """The format in which a service is asked: that of the caller where it has several."""
        if asked == "responses" and address.service == "openai" and self.speaks_responses:
            return "responses"
        return FORMATS_OF[address.service]


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """What is to be sent, or the answer to a caller of whom nothing is sent."""

    model: str = ""
    """As the caller wrote it."""
    address: ModelAddress = NOWHERE
    others: tuple[ModelAddress, ...] = ()
    """Those of its list that may be asked in place of it, in their order."""
    format: FormatName = "chat"
    """The service's."""
    body: bytes = b""
    session: str = ""
    """What the caller says in the body that it belongs to."""
    streams: bool = False
    hides_usage: bool = False
    """Whether the usage at the end of a stream of chat completions was not asked for by the caller."""
    groups: tuple[str, ...] = ()
    """Of tools, by which the caller's answer names them."""
    bound: RequestBound = NOTHING
    """What it may take at most: what a budget reserves before it is sent."""
    lost: tuple[str, ...] = ()
    """What the service's format cannot say, as JSON paths with reasons."""
    failure: WireFailure | None = None
    answer: bytes | None = None
    """Of a question that no service is asked."""


def be_ready() -> None:
    """Do nothing: whoever calls this has imported what is needed for a request."""


def prepare(
    raw: bytes,
    question: CallerQuestion,
    key: VirtualKey,
    rules: GatewayRules,
    avoided: frozenset[str] = frozenset(),
) -> PreparedRequest:
    """What becomes of a request.

    avoided: models, as SERVICE:MODEL, that are asked only where a list has no other.
    """
    try:
        body = read_json(raw, "request", max_bytes=MOST_BYTES[question.format])
    except InvalidDocument as error:
        return PreparedRequest(failure=WireFailure("invalid", str(error.problems[0])))
    model = question.model or (body.get("model") if isinstance(body, dict) else None)
    if not isinstance(model, str) or not model:
        return PreparedRequest(failure=WireFailure("invalid", "$.model: must name a model", "model"))
    addresses = rules.routes.find(model)
    if refusal := refusal_of(model, addresses, key):
        return PreparedRequest(model=model[:200], failure=refusal)
    address, *others = sorted(addresses, key=lambda one: str(one) in avoided)
    begun = PreparedRequest(
        model,
        address,
        tuple(others),
        rules.format_for(address, question.format),
        session=session_of(question.format, body),
        bound=RequestBound(token_bound(raw), 0),
    )
    if question.wish == "count":
        return _counting(begun, body, question)
    if key.counts_tokens and (place := unbounded(question.format, body)):
        said = f"{place}: nobody can say before what this takes, and the key has a limit"
        return replace(begun, failure=WireFailure("permission", said, place.removeprefix("$.")))
    return _answering(begun, body, question, rules, counts=key.counts_tokens)


def refusal_of(model: str, leads_to: Sequence[ModelAddress], key: VirtualKey) -> WireFailure | None:
    """Why a caller may not ask for a model by this name, which leads to these."""
    if not leads_to:
        said = f"no model answers for the name {model[:80]!r} here; /v1/models lists those that do"
        return WireFailure("not_found", said, "model")
    if not key.may_ask(model):
        said = f"this key may not ask {model[:80]!r}, but {', '.join(key.models)[:200]}"
        return WireFailure("permission", said, "model")
    return None


def _answering(
    begun: PreparedRequest, body: Any, question: CallerQuestion, rules: GatewayRules, *, counts: bool
) -> PreparedRequest:
    """counts: whether what it takes at most must be known."""
    service = replace(rules.service, model=begun.address.model)
    converted = convert_request(body, question.format, begun.format, service)
    if failure := converted.failure:
        return replace(begun, failure=failure)
    streams = bool(question.streams if question.streams is not None else body.get("stream"))
    hides = streams and question.format == "chat" and not wants_stream_usage(body)
    sent = {**converted.body, "stream": True} if streams and begun.format != "gemini" else converted.body
    if streams and begun.format == "chat":
        options = sent.get("stream_options")
        asked = options if isinstance(options, dict) else {}
        sent = {**sent, "stream_options": {**asked, "include_usage": True}}
    said = replace(
        begun,
        streams=streams,
        hides_usage=hides,
        groups=converted.request.groups,
        lost=_texts(converted.lost),
    )
    if counts:
        return _bounded(said, sent, converted, body, service)
    return replace(said, body=sse.as_bytes(sent))


def _bounded(
    begun: PreparedRequest,
    sent: dict[str, Any],
    converted: ConvertedRequest,
    body: dict[str, Any],
    service: WireService,
) -> PreparedRequest:
    """With the most that it takes; an answer without a limit gets one."""
    most, lost = output_limit(body, converted.request), begun.lost
    if most is None:
        most = service.most_output
        sent = with_output_limit(begun.format, sent, most, service.limit_name)
        lost = (*lost, f"the answer has at most {most:,} tokens, since the key has a limit")
    raw = sse.as_bytes(sent)
    given = max(begun.bound.given, len(raw)) + added_tokens(body, converted.request)
    bound = RequestBound(given, most * answers_asked(body), cache_surcharge(begun.format, raw))
    return replace(begun, body=raw, lost=lost, bound=bound)


def _counting(begun: PreparedRequest, body: Any, question: CallerQuestion) -> PreparedRequest:
    """A service of the caller's own format counts; of others what is known is a bound."""
    converted = asked_to_count(question.format, body)
    if failure := converted.failure:
        return replace(begun, failure=failure)
    if begun.format != question.format:
        return replace(begun, answer=sse.as_bytes(counted(question.format, begun.bound.given)))
    return replace(
        begun, body=sse.as_bytes(_counted_body(converted, body, begun)), lost=_texts(converted.lost)
    )


def _counted_body(
    converted: ConvertedRequest, body: dict[str, Any], begun: PreparedRequest
) -> dict[str, Any]:
    model = begun.address.model
    if begun.format == "gemini":
        return {"generateContentRequest": {**converted.body, "model": f"models/{model}"}}
    sent = {name: value for name, value in converted.body.items() if name in body}
    return {**sent, "model": model}


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """A whole answer of a service, for a caller."""

    body: bytes
    usage: WireUsage | None
    lost: tuple[str, ...] = ()
    failure: WireFailure | None = None


def prepare_answer(
    raw: bytes,
    source: FormatName,
    target: FormatName,
    caller: WireCaller,
    *,
    as_stream: bool,
    as_list: bool = False,
) -> GatewayAnswer:
    """A whole answer for the caller; as a stream for one that wants one of a service that has none."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return _no_answer(target, WireFailure("server", "the service's answer is no JSON object"))
    converted = convert_response(body, source, target, caller)
    if converted.failure:
        return _no_answer(target, converted.failure)
    usage, lost = converted.response.usage, _texts(converted.lost)
    if not as_stream:
        return GatewayAnswer(raw if source == target else sse.as_bytes(converted.body), usage, lost)
    writer = sse.EventWriter(target, as_list=as_list)
    events = writer.write(streamed(converted.response, target, caller))
    return GatewayAnswer(events + writer.end(), usage, lost)


def _no_answer(target: FormatName, failure: WireFailure) -> GatewayAnswer:
    return GatewayAnswer(sse.as_bytes(failure_body(target, failure)), None, failure=failure)


def _texts(problems: Iterable[Problem]) -> tuple[str, ...]:
    return tuple(str(problem)[:300] for problem in problems)
