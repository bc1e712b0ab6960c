"""Requests and answers of any kind, in the form between all formats."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from multi_agent.models.wire.canonical import (
    WireBlock,
    WireCall,
    WireChoice,
    WireMedia,
    WireRequest,
    WireResponse,
    WireResult,
    WireSchema,
    WireSeal,
    WireText,
    WireThought,
    WireTool,
    WireTurn,
    WireUsage,
    merged,
)

NAMES = ("read", "write", "look_up")
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
SEALS = (
    WireSeal("anthropic", {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}),
    WireSeal("anthropic", {"type": "redacted_thinking", "data": "b2RkYQ=="}),
    WireSeal("chat", {"reasoning_content": "Hm."}),
    WireSeal(
        "responses",
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "gAAA",
        },
    ),
)
GEMINI_SEAL = WireSeal("gemini", {"thoughtSignature": "c2lnbmF0dXJl"})

said = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
arguments = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.one_of(st.integers(-5, 5), said, st.booleans(), st.lists(st.integers(0, 3), max_size=2)),
    max_size=3,
).map(lambda found: json.dumps(found, ensure_ascii=False))
ODD: list[Any] = [None, True, -1, 1.5, "x", "", [], [1], {}, {"type": "x"}, [[]], {"a": None}, [{}]]
"""What does not belong where it stands."""
odds = st.sampled_from(ODD)
caches = st.sampled_from(["", "", "", "default", "5m", "1h"])
coded = st.binary(min_size=1, max_size=6).map(lambda data: base64.b64encode(data).decode())


def texts(cached: bool = True) -> st.SearchStrategy[WireText]:
    return st.builds(WireText, said, caches if cached else st.just(""))


medias = st.one_of(
    st.builds(WireMedia, st.just("image"), st.sampled_from(["image/png", "image/jpeg"]), coded),
    st.builds(
        WireMedia,
        st.just("document"),
        st.just("application/pdf"),
        coded,
        title=st.sampled_from(["", "a.pdf"]),
    ),
    st.builds(
        WireMedia,
        st.just("document"),
        st.just("text/plain"),
        said.map(lambda t: base64.b64encode(t.encode()).decode()),
    ),
    st.builds(
        WireMedia, st.just("image"), url=st.sampled_from(["https://a.example/b.png", "https://a.example/b"])
    ),
    st.builds(WireMedia, st.just("document"), url=st.just("https://a.example/b.pdf")),
    st.builds(
        WireMedia,
        st.just("document"),
        file_id=st.just("file-1"),
        owner=st.sampled_from(["openai", "anthropic"]),
    ),
)
thoughts = st.sampled_from(
    [*(WireThought("" if "data" in seal.raw else "Hm.", seal) for seal in SEALS), WireThought("Hm.")]
)


@st.composite
def exchanges(draw: st.DrawFn, start: int) -> list[WireTurn]:
    """What a user says, what the model does of it, and what comes of that."""
    blocks: list[WireBlock] = [*draw(st.lists(st.one_of(texts(), medias), min_size=1, max_size=2))]
    turns = [WireTurn("user", tuple(blocks))]
    spoken: list[WireBlock] = [
        *draw(st.lists(thoughts, max_size=1)),
        *draw(st.lists(texts(cached=False), max_size=1)),
    ]
    calls = [
        WireCall(f"call_{start}{at}", draw(st.sampled_from(NAMES)), draw(arguments))
        for at in range(draw(st.integers(0, 2)))
    ]
    if spoken or calls:
        turns.append(WireTurn("assistant", (*spoken, *calls)))
    if calls:
        results = []
        for call in calls:
            parts = draw(st.lists(st.one_of(texts(cached=False), medias), min_size=1, max_size=2))
            results.append(WireResult(call.call_id, tuple(parts), draw(st.booleans())))
        turns.append(WireTurn("user", tuple(results)))
    return turns


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, Any]:
    possible: dict[str, st.SearchStrategy[Any]] = {
        "temperature": st.sampled_from([0.0, 0.5, 1.0, 1.5]),
        "top_p": st.sampled_from([0.1, 1.0]),
        "top_k": st.sampled_from([1, 40]),
        "seed": st.integers(0, 9),
        "presence_penalty": st.just(0.5),
        "frequency_penalty": st.just(-0.5),
        "stop": st.lists(said, min_size=1, max_size=6).map(tuple),
        "effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
        "user": st.just("u1"),
        "metadata": st.just({"a": "b"}),
        "parallel_tool_calls": st.just(False),
        "prompt_cache_key": st.just("key"),
        "store": st.just(True),
        "verbosity": st.sampled_from(["low", "high"]),
        "show_thoughts": st.booleans(),
        "thinking_budget": st.just(2048),
        "thinking_adaptive": st.just(True),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(possible)), unique=True, max_size=5))
    found = {name: draw(possible[name]) for name in chosen}
    return {"max_tokens": draw(st.integers(1, 9_000)), **found}


tools = st.lists(
    st.builds(
        WireTool,
        st.sampled_from(NAMES),
        st.one_of(st.none(), said),
        st.just(SCHEMA),
        st.booleans(),
        caches,
    ),
    unique_by=lambda tool: tool.name,
    max_size=3,
).map(tuple)
schemas = st.one_of(
    st.none(),
    st.none(),
    st.builds(
        WireSchema,
        st.just(SCHEMA),
        st.sampled_from(["", "plan"]),
        st.sampled_from(["", "A plan."]),
        st.booleans(),
    ),
    st.just(WireSchema()),
)


@st.composite
def requests(draw: st.DrawFn) -> WireRequest:
    joined: list[WireTurn] = []
    for at in range(draw(st.integers(1, 2))):
        # What a user says after results is the same turn.
        joined = list(merged([*joined, *draw(exchanges(at))]))
    if draw(st.booleans()):
        joined.insert(0, WireTurn("system", tuple(draw(st.lists(texts(), min_size=1, max_size=2)))))
    if draw(st.integers(0, 5)) == 0:
        joined.append(WireTurn("system", (draw(texts()),)))
        joined.append(WireTurn("user", (draw(texts()),)))
    offered = draw(tools)
    names = tuple(tool.name for tool in offered)
    choices = [WireChoice(), WireChoice("none")]
    if names:
        choices += [WireChoice("required"), WireChoice("required", names[:1]), WireChoice("auto", names)]
    return placed(
        WireRequest(
            "model-1",
            tuple(joined),
            offered,
            draw(st.sampled_from(choices)),
            draw(schemas),
            draw(parameters()),
        )
    )


def placed_block(block: WireBlock, at: str) -> WireBlock:
    if isinstance(block, WireResult):
        content = tuple(replace(part, at=f"{at}.part") for part in block.content)
        return replace(block, content=content, at=at)
    return replace(block, at=at)


def placed(request: WireRequest) -> WireRequest:
    """With a place for everything, by which it is named when it is lost."""
    turns = []
    for number, turn in enumerate(request.turns):
        at = f"$.turns[{number}]"
        blocks = [placed_block(block, f"{at}.blocks[{index}]") for index, block in enumerate(turn.blocks)]
        turns.append(replace(turn, blocks=tuple(blocks), at=at))
    tools = [replace(tool, at=f"$.tools[{index}]") for index, tool in enumerate(request.tools)]
    return replace(request, turns=tuple(turns), tools=tuple(tools))


usages = st.builds(
    lambda given, made, cached, written, thought: WireUsage(
        given + cached + written, made + thought, cached, written, thought
    ),
    *[st.integers(0, 50)] * 5,
)


@st.composite
def responses(draw: st.DrawFn) -> WireResponse:
    """Answers as services give them: thoughts, then text, then calls, with what their service wants back."""
    owner = draw(st.sampled_from(["anthropic", "chat", "responses", "gemini"]))
    is_thinking = draw(st.booleans())
    own = [seal for seal in SEALS if seal.owner == owner]
    blocks: list[WireBlock] = []
    if own and is_thinking:
        kept = draw(st.sampled_from(own))
        blocks.append(WireThought("" if "data" in kept.raw else "Hm.", kept))
    on_parts: st.SearchStrategy[WireSeal | None] = st.none()
    if owner == "gemini":
        on_parts = st.sampled_from([None, GEMINI_SEAL])
    if draw(st.booleans()):
        blocks.append(WireText(draw(said), seal=draw(on_parts)))
    for at in range(draw(st.integers(0, 2))):
        blocks.append(WireCall(f"call_{at}", draw(st.sampled_from(NAMES)), draw(arguments), draw(on_parts)))
    has_calls = any(isinstance(block, WireCall) for block in blocks)
    stops = (
        ["calls"]
        if has_calls
        else ["end", "length", "refusal", "stop_sequence", "context", "malformed", "pause"]
    )
    stop: Any = draw(st.sampled_from(stops))
    sequence = "END" if stop == "stop_sequence" else ""
    return WireResponse("id-1", "model-1", tuple(blocks), stop, sequence, draw(usages))
