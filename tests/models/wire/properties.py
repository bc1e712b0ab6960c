"""What holds of every conversion; `python -m tests.models.wire --examples N` tries it on many examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any, get_args

from multi_agent.models.wire.canonical import (
    FormatName,
    WireBlock,
    WireCall,
    WireCaller,
    WireRequest,
    WireResponse,
    WireSeal,
    WireService,
    WireText,
    WireThought,
    WireTurn,
)
from multi_agent.models.wire.convert import ConvertedStream, convert_request, convert_response
from multi_agent.models.wire.events import BlockGrew, CollectedAnswer, WireEvent, events_of
from multi_agent.models.wire.fields import Notes
from multi_agent.models.wire.formats import FORMATS
from multi_agent.models.wire.seals import gathered, has_others

NAMES: tuple[FormatName, ...] = get_args(FormatName)
CALLER = WireCaller("req_1", "asked-model", 1_700_000_000)
SERVICE = WireService(model="model-1")


def bare(request: WireRequest) -> WireRequest:
    """Without the model, which Gemini has in the URL."""
    return replace(request, model="", parameters=dict(request.parameters))


def written(request: WireRequest, name: FormatName) -> tuple[Any, Notes]:
    notes = Notes()
    body = FORMATS[name].write_request(request, notes, SERVICE)
    return json.loads(json.dumps(body)), notes


def read(body: Any, name: FormatName) -> WireRequest:
    return bare(FORMATS[name].read_request(json.loads(json.dumps(body)), Notes()))


def check_what_is_said_is_read_again(request: WireRequest) -> None:
    """What a format can say, it says; what it cannot is named."""
    for name in NAMES:
        body, notes = written(request, name)
        reading = Notes()
        again = FORMATS[name].read_request(body, reading)
        reading.finish()
        assert not reading.problems, (name, reading.problems)
        assert not reading.lost, (name, reading.lost)
        told = [problem.path for problem in (*notes.lost, *notes.refused)]
        if not told:
            assert bare(again) == bare(request), name
        assert set(changed(request, again)) <= {place for path in told for place in above(path)}, (name, told)
        assert not (set(again.parameters) - set(request.parameters)), name


def changed(request: WireRequest, again: WireRequest) -> Iterator[str]:
    """Where a request says what it does not say again."""
    for key, value in request.parameters.items():
        if again.parameters.get(key) != value:
            yield f"$.{key}"
    if again.choice != request.choice:
        yield "$.tool_choice"
    if again.schema != request.schema:
        yield "$.schema"
    left = list(again.tools)
    yield from (tool.at for tool in request.tools if not taken(tool, left))
    left_blocks = [block for turn in again.turns for block in turn.blocks]
    for turn in request.turns:
        lost = [block for block in turn.blocks if not taken(block, left_blocks)]
        yield from (block.at for block in lost)


def taken(one: object, left: list[Any]) -> bool:
    """Whether it is one of those that are left, where the next such one is another."""
    if one not in left:
        return False
    left.remove(one)
    return True


def above(path: str) -> Iterator[str]:
    """A path and those that it lies in. What a turn's position is lost by is lost by all its blocks."""
    if path.endswith(".position"):
        yield from (f"{path.removesuffix('.position')}.blocks[{at}]" for at in range(9))
    yield from (path[:end] for end in range(3, len(path) + 1))


def check_round_trips(request: WireRequest) -> None:
    """A -> B -> A is the same body, where both can say it."""
    for one, other in product(NAMES, NAMES):
        body, notes = written(request, one)
        there = convert_request(body, one, other, SERVICE)
        if one == other:
            assert there.body == body
            continue
        back = convert_request(json.loads(json.dumps(there.body)), other, one, SERVICE)
        if not (notes.refused or there.lost or there.refused or back.lost or back.refused):
            assert read(back.body, one) == read(body, one), (one, other)


def check_unknown_fields_are_named(request: WireRequest) -> None:
    """A field that nobody knows, anywhere but in schemas and arguments, is named when it is lost."""
    for one, other in zip(NAMES, NAMES[1:] + NAMES[:1], strict=True):
        body, _ = written(request, one)
        for path, holder in objects(body, "$"):
            holder["x_unknown"] = 1
            found = convert_request(body, one, other, SERVICE)
            del holder["x_unknown"]
            told = [problem.path for problem in (*found.lost, *found.refused)]
            places = {f"{path}.x_unknown"[:end] for end in range(2, len(path) + 11)}
            assert places & set(told), (one, other, path)
            passed = convert_request({**body, "x_unknown": {"a": [1]}}, one, one, WireService())
            assert passed.body == {**body, "x_unknown": {"a": [1]}}


def check_odd_bodies_are_answered(request: WireRequest, response: WireResponse, odd: Any, at: int) -> None:
    """Whatever stands wherever in a body, there is an answer in words, and no exception."""
    for name, other in product(NAMES, NAMES):
        body, _ = written(request, name)
        found = convert_request(with_odd(body, odd, at), name, other, SERVICE)
        assert found.failure is None or found.failure.message
        answer = json.loads(json.dumps(FORMATS[name].write_response(response, Notes(), CALLER)))
        convert_response(with_odd(answer, odd, at), name, other, CALLER)
        stream = ConvertedStream(name, other, CALLER)
        for event in in_pieces(response, name):
            stream.feed(with_odd(json.loads(json.dumps(event)), odd, at, within=True))
        stream.end()


def with_odd(body: Any, odd: Any, number: int, *, within: bool = False) -> Any:
    """A body in which something else stands somewhere; `within` it if it must stay an object."""
    places = list(slots(body))
    if not within:
        places.append(([body], 0))
    holder, key = places[number % len(places)]
    holder[key] = odd
    return holder[key] if holder == [odd] and not within else body


def slots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value at which another could stand."""
    found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in found:
        yield value, key
        yield from slots(one)


OPAQUE = ("input_schema", "parameters", "parametersJsonSchema", "schema", "responseJsonSchema", "input")
"""Fields of objects whose content is not the format's."""


def objects(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a body that the format defines."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from objects(one, f"{path}[{index}]")
    elif isinstance(value, dict):
        yield path, value
        for key, one in value.items():
            if not (key in (*OPAQUE, "args", "response", "metadata") and isinstance(one, dict)):
                yield from objects(one, f"{path}.{key}")


def carried(blocks: tuple[WireBlock, ...]) -> list[WireBlock]:
    """Blocks by kind: some formats have one order alone."""
    order = (WireThought, WireText, WireCall)
    return sorted(gathered(blocks), key=lambda block: order.index(type(block)))


def check_an_answer_comes_back(response: WireResponse) -> None:
    """A service is sent its own answer as it gave it, through a client of any format."""
    seals = [getattr(block, "seal", None) for block in response.blocks]
    owners = {seal.owner for seal in seals if isinstance(seal, WireSeal)}
    for service, client in product(owners or NAMES, NAMES):
        given = FORMATS[service].write_response(response, Notes(), CALLER)
        shown = convert_response(json.loads(json.dumps(given)), service, client, CALLER)
        turns = (WireTurn("user", (WireText("Go."),)), WireTurn("assistant", response.blocks))
        if not response.blocks:
            continue
        direct, noted = written(WireRequest("model-1", turns, parameters={"max_tokens": 9}), service)
        if any(one.path.endswith("position") for one in noted.lost):
            continue
        sent_back = written_by_client(shown.body, client)
        again = convert_request(sent_back, client, service, SERVICE)
        assert read(again.body, service).turns == read(direct, service).turns, (service, client)
        # Another service, of the client's own format, hears nothing of what this one wants back.
        passed = convert_request(sent_back, client, client, SERVICE)
        if client == service or not owners:
            assert passed.body == {**sent_back, **({"model": "model-1"} if "model" in sent_back else {})}
        else:
            assert passed.lost
            assert not has_others(client, read(passed.body, client).turns), (service, client)


def written_by_client(answer: dict[str, Any], client: FormatName) -> dict[str, Any]:
    """The next request of a client that appends an answer to its conversation as it is."""
    match client:
        case "anthropic":
            turn = {"role": "assistant", "content": answer["content"]}
            return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Go."}, turn]}
        case "chat":
            messages = [{"role": "user", "content": "Go."}, answer["choices"][0]["message"]]
            return {"model": "m", "max_completion_tokens": 9, "messages": messages}
        case "responses":
            user: dict[str, Any] = {"role": "user", "content": "Go."}
            return {"model": "m", "max_output_tokens": 9, "input": [user, *answer["output"]]}
        case _:
            user = {"role": "user", "parts": [{"text": "Go."}]}
            return {
                "contents": [user, answer["candidates"][0]["content"]],
                "generationConfig": {"maxOutputTokens": 9},
            }


def folded(events: list[dict[str, Any]], name: FormatName) -> WireResponse:
    """The answer that a client of this format makes of a stream."""
    reader = FORMATS[name].stream_reader(Notes(), CALLER)
    collected = CollectedAnswer()
    for event in [found for one in events for found in reader.read(one)] + reader.end():
        collected.add(event)
    assert collected.failure is None, collected.failure
    return replace(collected.answer, blocks=tuple(carried(collected.answer.blocks)))


def in_pieces(response: WireResponse, name: FormatName) -> list[dict[str, Any]]:
    """An answer as a service streams it, a few characters at a time."""
    writer = FORMATS[name].stream_writer(Notes(), CALLER)
    events: list[WireEvent] = []
    for event in events_of(response):
        if isinstance(event, BlockGrew):
            events += [BlockGrew(event.index, event.text[at : at + 3]) for at in range(0, len(event.text), 3)]
        else:
            events.append(event)
    return [said for event in events for said in writer.write(event)]


def check_streams_add_up(response: WireResponse) -> None:
    """The converted stream, folded, is the converted answer."""
    for service, client in product(NAMES, NAMES):
        stream = json.loads(json.dumps(in_pieces(response, service)))
        whole = FORMATS[service].write_response(response, Notes(), CALLER)
        conversion = ConvertedStream(service, client, CALLER)
        events = [found for event in stream for found in conversion.feed(event)] + conversion.end()
        converted = convert_response(json.loads(json.dumps(whole)), service, client, CALLER)
        expected = FORMATS[client].read_response(json.loads(json.dumps(converted.body)), Notes(), CALLER)
        expected = replace(expected, blocks=tuple(carried(expected.blocks)))
        assert folded(json.loads(json.dumps(events)), client) == expected, (service, client)
        assert conversion.response.usage == expected.usage or client == "gemini", (service, client)
