"""Brings the answer of a service to its caller: whole, or event by event as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class AnswerWay:
    """From which service to which caller."""

    prepared: PreparedRequest
    target: FormatName
    """The caller's."""
    caller: WireCaller
    endpoint: Endpoint
    line: RequestLine


async def whole_answer(response: aiohttp.ClientResponse, way: AnswerWay) -> GatewayAnswer:
    """Read and convert an answer. Raises GatewayRefusal where it is none."""
    raw = scrubbed(await read_bounded(response, way.endpoint.max_body_bytes), way.endpoint)
    prepared = way.prepared
    answer = await bounded_call(
        len(raw), prepare_answer, raw, prepared.format, way.target, way.caller, as_stream=prepared.streams
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

    Neither side may be silent for longer than one answer may take.
    """
    stream = ConvertedStream(way.prepared.format, way.target, way.caller)
    seconds = way.endpoint.timeout_seconds
    broken: WireFailure | None = None
    try:
        async with asyncio.timeout(seconds) as limit:
            async with aclosing(_converted(response, stream, way)) as parts:
                async for data in parts:
                    way.line.sends(data)
                    await reply.write(data)
                    limit.reschedule(asyncio.get_running_loop().time() + seconds)
    except TimeoutError:
        broken = WireFailure("timeout", f"silence for {seconds:g} s")
    except GatewayRefusal as refusal:
        broken = refusal.failure
    except aiohttp.ClientConnectionResetError:
        raise  # the caller's connection
    except (aiohttp.ClientError, ValueError, RecursionError) as error:
        broken = WireFailure("server", f"the service's stream broke off ({type(error).__name__})")
    last = _encoded(way, stream.end())
    way.line.failure = stream.failure or broken
    way.line.usage, way.line.lost = stream.response.usage, tuple(str(one)[:300] for one in stream.lost)
    if not way.line.failure:
        last += sse.ended(way.target)
    way.line.sends(last)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await reply.write(last)
            await reply.write_eof()


async def _converted(
    response: aiohttp.ClientResponse, stream: ConvertedStream, way: AnswerWay
) -> AsyncGenerator[bytes, None]:
    """What the caller gets, as it comes."""
    decoder, shown = sse.EventDecoder(way.endpoint.max_body_bytes), _shown(way.prepared)
    most, size = _STREAM_TIMES * way.endpoint.max_body_bytes, 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > most:
            raise GatewayRefusal(WireFailure("server", f"the stream has more than {most:,} bytes"))
        if data := _fed(decoder.feed(part), stream, shown, way):
            yield data
    if data := _fed(decoder.end(), stream, shown, way):
        yield data


def _fed(
    events: Iterable[dict[str, Any]],
    stream: ConvertedStream,
    shown: Callable[[dict[str, Any]], bool],
    way: AnswerWay,
) -> bytes:
    return b"".join(_encoded(way, filter(shown, stream.feed(event))) for event in events)


def _encoded(way: AnswerWay, events: Iterable[dict[str, Any]]) -> bytes:
    return scrubbed(b"".join(sse.encoded(way.target, event) for event in events), way.endpoint)


def _shown(prepared: PreparedRequest) -> Callable[[dict[str, Any]], bool]:
    """Whether an event is for the caller: usage that it did not ask for is not."""
    if not prepared.hides_usage:
        return lambda _: True
    return lambda event: bool(event.get("choices")) or not event.get("usage")
