"""The SDK of each format asks a service of each format through the gateway, and notices nothing."""

from __future__ import annotations

import asyncio

import pytest

from multi_agent.models.wire.canonical import FormatName, WireCall, WireResponse, WireText, WireUsage
from tests.gateway.fake_service import HELLO, FakeService
from tests.gateway.rigs import CALLERS, CANARY, Heard, ask, gateway_over

CALL = WireCall("call_1", "weather", '{"city": "Oslo"}')
OTHER = WireCall("call_2", "weather", '{"city": "Rome"}')
USAGE = WireUsage(21, 9)
ANSWERS: dict[str, tuple[WireResponse, list[str]]] = {
    "plain": (HELLO, []),
    "tool": (WireResponse("up-2", "up-model", (CALL,), "calls", usage=USAGE), ["Oslo"]),
    "parallel tools": (
        WireResponse("up-3", "up-model", (WireText("Looking."), CALL, OTHER), "calls", usage=USAGE),
        ["Oslo", "Rome"],
    ),
}


@pytest.mark.parametrize("of", CALLERS)
@pytest.mark.parametrize("caller", CALLERS)
async def test_answers_whole_and_streamed(caller: FormatName, of: FormatName) -> None:
    service = FakeService()
    async with gateway_over(service, of=of) as rig:
        for kind, (answer, cities) in ANSWERS.items():
            service.answer = answer
            text = "".join(block.text for block in answer.blocks if isinstance(block, WireText))
            calls = [("weather", {"city": city}) for city in cities]
            usage = answer.usage or WireUsage()
            for stream in (False, True):
                heard = await ask(caller, rig.url, stream=stream, tools=bool(cities))
                assert heard == Heard(text, calls, usage.given, usage.made), (kind, stream)
    assert CANARY not in str([body for _, _, body in service.asked])


@pytest.mark.parametrize("of", CALLERS)
@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_that_goes_away_ends_the_request_at_the_service(
    caller: FormatName, of: FormatName, *, stream: bool
) -> None:
    service = FakeService(stalls=True)
    async with gateway_over(service, of=of) as rig:
        asking = asyncio.create_task(ask(caller, rig.url, stream=stream))
        async with asyncio.timeout(20):
            await service.was_asked.wait()
            asking.cancel()
            await service.left.wait()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert rig.gateway.admission.requests == rig.gateway.admission.bytes == 0
