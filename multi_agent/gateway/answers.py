"""Brings the answer of a service to its caller: whole, or event by event as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp
from aiohttp import web

from contracts.base.processes.bounded_call import bounded_call
from multi_agent.gateway.preparing import GatewayAnswer, PreparedRequest, prepare_answer
from multi_agent.gateway.providers import read_bounded, scrubbed
from multi_agent.gateway.refusals import GatewayRefusal
from multi_agent.gateway.request_line import RequestLine
from multi_agent.models.adapters.endpoint import Endpoint
from multi_agent.models.wire import sse
from multi_agent.models.wire.canonical import FormatName, WireCaller
from multi_agent.models.wire.convert import ConvertedStream
from multi_agent.models.wire.failures import WireFailure

_STREAM_TIMES: Final = 16
"""How many times larger than a whole answer a stream may be: each of its few characters has an envelope."""

_END_SECONDS: Final = 1.0
"""For a service to end its stream once it has said that the answer is whole."""


@dataclass(frozen=True, slots=True)
class AnswerWay:
    """From which service to which caller."""

    prepared: PreparedRequest
    target: FormatName
    """The caller's."""
    caller: WireCaller
    endpoint: Endpoint
    line: RequestLine
    as_list: bool = False
    """Whether events are the entries of one JSON list."""


async def whole_answer(response: aiohttp.ClientResponse, way: AnswerWay) -> GatewayAnswer:
    """Read and convert an answer. Raises GatewayRefusal where it is none."""
    raw = scrubbed(await read_bounded(response, way.endpoint.max_body_bytes), way.endpoint)
    prepared = way.prepared
    answer = await bounded_call(
        len(raw),
        prepare_answer,
        raw,
        prepared.format,
        way.target,
        way.caller,
        as_stream=prepared.streams,
        as_list=way.as_list,
    )
    if answer.failure:
        raise GatewayRefusal(answer.failure)
    way.line.usage, way.line.lost = answer.usage, answer.lost
    return answer


async def counted_answer(response: aiohttp.ClientResponse, way: AnswerWay) -> bytes:
    """What a service of the caller's own format counted."""
    return scrubbed(await read_bounded(response, way.endpoint.max_body_bytes), way.endpoint)


async def stream_answer(response: aiohttp.ClientResponse, reply: web.StreamResponse, way: AnswerWay) -> None:
    """Pass a stream on until it ends or breaks off, which the caller is told as its format tells it.

    Neither side may be silent for longer than one answer may take. Raises TimeoutError for a caller that
    does not take the end.
    """
    passing = _Passing(way)
    seconds = way.endpoint.timeout_seconds
    broken: WireFailure | None = None
    try:
        async with asyncio.timeout(seconds) as limit:
            async with aclosing(passing.parts(response)) as parts:
                async for data in parts:
                    if data:
                        way.line.sends(data)
                        await reply.write(data)
                    # Once it has said all, its connection is worth a moment, for the next request.
                    wait = min(seconds, _END_SECONDS) if passing.is_over else seconds
                    limit.reschedule(asyncio.get_running_loop().time() + wait)
    except TimeoutError:
        broken = WireFailure("timeout", f"silence for {seconds:g} s")
    except GatewayRefusal as refusal:
        broken = refusal.failure
    except aiohttp.ClientConnectionResetError:
        raise  # the caller's connection
    except (aiohttp.ClientError, ValueError, RecursionError) as error:
        why = error if isinstance(error, ValueError) else type(error).__name__
        broken = WireFailure("server", f"the service's stream broke off ({why})")
    last = passing.end(broken)
    way.line.sends(last)
    async with asyncio.timeout(seconds):
        await reply.write(last)
        await reply.write_eof()


class _Passing:
    """A stream on its way."""

    def __init__(self, way: AnswerWay) -> None:
        self._way = way
        self._stream = ConvertedStream(way.prepared.format, way.target, way.caller)
        self._decoder = sse.EventDecoder(way.endpoint.max_body_bytes)
        self._writer = sse.EventWriter(way.target, as_list=way.as_list)

    @property
    def is_over(self) -> bool:
        """Whether the service has said all that it has to say."""
        return self._stream.is_over or self._decoder.is_done

    async def parts(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """What the caller gets, as it comes; nothing where the service only shows that it is there."""
        most, size = _STREAM_TIMES * self._way.endpoint.max_body_bytes, 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > most:
                raise GatewayRefusal(WireFailure("server", f"the stream has more than {most:,} bytes"))
            yield self._written(self._decoder.feed(part))
        yield self._written(self._decoder.end())

    def end(self, broken: WireFailure | None) -> bytes:
        """The last that the caller gets; what is known by then is noted."""
        line, stream, endpoint = self._way.line, self._stream, self._way.endpoint
        last = self._writer.write(stream.end(broken))
        line.lost = tuple(str(one)[:300] for one in stream.lost)
        if stream.failure:
            # What half an answer took is not known: services count what they made at its end.
            line.failure = replace(stream.failure, message=endpoint.scrub(stream.failure.message))
        else:
            line.usage = stream.response.usage
        return scrubbed(last + self._writer.end(has_failed=stream.failure is not None), endpoint)

    def _written(self, events: Iterable[dict[str, Any]]) -> bytes:
        shown = (one for event in events for one in self._stream.feed(event) if self._is_shown(one))
        return scrubbed(self._writer.write(shown), self._way.endpoint)

    def _is_shown(self, event: dict[str, Any]) -> bool:
        """Whether it is for the caller: usage that it did not ask for is not."""
        return not self._way.prepared.hides_usage or bool(event.get("choices")) or not event.get("usage")
