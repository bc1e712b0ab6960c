"""The gateway: lets a caller in, prepares its request, asks the service, answers in the caller's format."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import aiohttp
from aiohttp import web

from contracts.base.processes.bounded_call import bounded_call
from multi_agent.gateway.admission import Admission
from multi_agent.gateway.answers import AnswerWay, counted_answer, stream_answer, whole_answer
from multi_agent.gateway.budgets.bound import NOTHING
from multi_agent.gateway.budgets.budgets import KeyBudgets, OverKeyLimit
from multi_agent.gateway.keys import EVERYBODY, KeyFile, VirtualKey
from multi_agent.gateway.preparing import GatewayRules, PreparedRequest, prepare, refusal_of
from multi_agent.gateway.providers import Providers
from multi_agent.gateway.questions import (
    CallerQuestion,
    format_at,
    listed,
    lost_header,
    question_at,
    session_in,
    shown_model,
)
from multi_agent.gateway.refusals import GatewayRefusal
from multi_agent.gateway.replies import (
    EVENTS,
    JSON,
    hang_up,
    headers_of,
    passed_headers,
    read_body,
    refusal_for,
    reply_refused,
    reply_with,
    send,
    shown_keys,
)
from multi_agent.gateway.request_line import RequestLine
from multi_agent.gateway.tries import RequestTries, TryRules
from multi_agent.models.wire import sse
from multi_agent.models.wire.canonical import WireCaller
from multi_agent.models.wire.failures import WireFailure


@dataclass(frozen=True, slots=True)
class Gateway:
    """Answers requests of callers who are trusted with nothing but what their keys say."""

    rules: GatewayRules
    providers: Providers
    keys: KeyFile | None = None
    """None to let everybody in, which only a gateway on the loopback may."""
    budgets: KeyBudgets | None = None
    """Keeps keys within their limits."""
    tries: TryRules = field(default_factory=TryRules)
    """How often a request is asked, and of whom."""
    admission: Admission = field(default_factory=Admission)
    told: tuple[Callable[[RequestLine], None], ...] = ()
    """Who is told of each request that has ended, and may take no time."""
    keeps_bodies: bool = False
    """Whether they are told what was said, too."""
    streaming: Callable[[], AbstractContextManager[object]] = nullcontext
    """Counts a stream as open while its block runs."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request, and log it."""
        wants_events = request.query.get("alt") == "sse"
        question = question_at(request.method, request.path, wants_events=wants_events)
        name = question.format if question else format_at(request.path)
        line = RequestLine(uuid.uuid4().hex, name, question.wish if question else "nothing")
        line.keeps_bodies, line.session = self.keeps_bodies, session_in(request.headers)
        try:
            with self.admission.request():
                return await self._answer(request, question, line)
        except (ConnectionResetError, asyncio.CancelledError):
            line.is_cancelled = True
            raise asyncio.CancelledError from None  # the server logs anything else as a fault of ours
        except Exception as error:
            refusal = refusal_for(error, line)
            if line.status:
                # The answer has begun: nothing but the end of the connection can say it now.
                line.failure = refusal.failure
                raise asyncio.CancelledError from None
            return reply_refused(refusal, name, line)
        finally:
            line.end()
            for tell in self.told:
                tell(line)

    async def _answer(
        self, request: web.BaseRequest, question: CallerQuestion | None, line: RequestLine
    ) -> web.StreamResponse:
        key = self._caller(request)
        line.key = key.name
        if question is None:
            said = f"there is nothing at {request.method} {request.path[:200]}"
            raise GatewayRefusal(WireFailure("not_found", said))
        if question.wish == "models":
            return reply_with(sse.as_bytes(self._models(question, key)), line)
        with self.admission.body() as room:
            raw = await read_body(request, question.format, room.take)
            prepare_for = partial(self._prepared, raw, question, key)
            line.prepared = prepared = await prepare_for(self.tries.turns.away)
            line.says(raw)
            del raw
            line.session = line.session or prepared.session
            if prepared.failure:
                raise GatewayRefusal(prepared.failure)
            if prepared.answer is not None:
                return await send(request, reply_with(prepared.answer, line))
            tries = RequestTries(self.tries, line, prepared.others, prepare_for)
            del prepare_for  # it has the body
            while True:
                try:
                    async with self._charged(key, prepared, line):
                        return await self._asked(request, question, prepared, line)
                except (GatewayRefusal, OverKeyLimit, TimeoutError) as error:
                    refusal = refusal_for(error, line)
                prepared = await tries.after(prepared, refusal)

    async def _prepared(
        self, raw: bytes, question: CallerQuestion, key: VirtualKey, avoided: frozenset[str]
    ) -> PreparedRequest:
        return await bounded_call(len(raw), prepare, raw, question, key, self.rules, avoided)

    @asynccontextmanager
    async def _charged(
        self, key: VirtualKey, prepared: PreparedRequest, line: RequestLine
    ) -> AsyncIterator[None]:
        """Room for a try within what its key may spend. Raises OverKeyLimit."""
        if self.budgets is None:
            yield
            return
        counts = line.wish == "count"
        price, bound = self.providers.endpoint(prepared.address).price, NOTHING if counts else prepared.bound
        async with self.budgets.charged(key.name, key, price, bound) as charge:
            charge.is_free = counts
            try:
                yield
            except GatewayRefusal as refusal:
                charge.is_free |= refusal.is_free
                raise
            finally:
                charge.usage = None if line.failure else line.usage

    def _models(self, question: CallerQuestion, key: VirtualKey) -> dict[str, object]:
        """The names that a caller may write, or what is known of one. Raises GatewayRefusal."""
        if not question.model:
            allowed = [name for name in self.rules.routes.names if key.may_ask(name)]
            return listed(question.format, allowed)
        if failure := refusal_of(question.model, self.rules.routes.find(question.model), key):
            raise GatewayRefusal(failure)
        return shown_model(question.format, question.model)

    def _caller(self, request: web.BaseRequest) -> VirtualKey:
        """Whose request it is. Raises GatewayRefusal, and NotConfigured for a file of keys that is broken."""
        if self.keys is None:
            if "Origin" in request.headers:
                # Any page that a browser on this machine shows could spend what the keys here pay for.
                raise GatewayRefusal(WireFailure("permission", "a gateway without keys answers no browsers"))
            return EVERYBODY
        shown = shown_keys(request)
        for key in filter(None, map(self.keys.find, shown)):
            return key
        said = "this key is unknown here or has expired" if shown else "show a key of this gateway"
        raise GatewayRefusal(WireFailure("authentication", said))

    async def _asked(
        self, request: web.BaseRequest, question: CallerQuestion, prepared: PreparedRequest, line: RequestLine
    ) -> web.StreamResponse:
        """What the service answers. Raises GatewayRefusal."""
        endpoint, counts = self.providers.endpoint(prepared.address), question.wish == "count"
        same = prepared.format == question.format
        said = passed_headers(request)
        if not same and (unsaid := lost_header(question.format, said)):
            line.prepared = prepared = replace(prepared, lost=(*prepared.lost, *unsaid))
        beta = same and question.format == "anthropic" and request.query.get("beta") == "true"
        wants_usage = not prepared.hides_usage
        caller = WireCaller(
            line.request_id,
            prepared.model,
            int(time.time()),
            stream_usage=wants_usage,
            groups=prepared.groups,
        )
        way = AnswerWay(prepared, question.format, caller, endpoint, line, question.as_list)
        opening = self.providers.ask(prepared, counts=counts, said=said if same else {}, beta=beta)
        line.tries += 1
        async with asyncio.timeout(endpoint.timeout_seconds) as limit, opening as response:
            if counts:
                counted = await counted_answer(response, way)
                limit.reschedule(None)
                return await send(request, reply_with(counted, line))
            if not prepared.streams or response.content_type == JSON:
                answer = await whole_answer(response, way)
                limit.reschedule(None)
                kind = EVENTS if prepared.streams and not way.as_list else JSON
                return await send(request, reply_with(answer.body, line, kind))
            limit.reschedule(None)
            return await self._streamed(request, response, way)

    async def _streamed(
        self, request: web.BaseRequest, response: aiohttp.ClientResponse, way: AnswerWay
    ) -> web.StreamResponse:
        reply = web.StreamResponse(headers=headers_of(way.line, JSON if way.as_list else EVENTS))
        way.line.status = 200
        await reply.prepare(request)
        try:
            with self.streaming():
                await stream_answer(response, reply, way)
        except TimeoutError:
            hang_up(request)
        return reply
