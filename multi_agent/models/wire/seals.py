"""Carries what a service wants back through clients of other formats, where those keep theirs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, get_args

from multi_agent.models.wire.canonical import (
    FormatName,
    WireBlock,
    WireCall,
    WireSeal,
    WireText,
    WireThought,
    WireTurn,
    merged,
    with_seal,
)
from multi_agent.models.wire.fields import Notes

_PREFIX: Final = "sealed."
_CODED_PREFIX: Final = base64.b64encode(_PREFIX.encode()).decode()[:9]
_KEPT_TYPES: Final[Mapping[FormatName, tuple[str, ...]]] = {
    "anthropic": ("thinking", "redacted_thinking"),
    "responses": ("reasoning",),
}
_KEPT_FIELDS: Final[Mapping[FormatName, frozenset[str]]] = {
    "chat": frozenset({"reasoning_content", "reasoning", "reasoning_details", "extra_content"}),
    "gemini": frozenset({"thoughtSignature", "thought_signature"}),
}
_OF_TEXT: Final = "text"


def wrapped(seal: WireSeal) -> str:
    """A seal as text without spaces, for a client that hands it back as it was."""
    plain = json.dumps([seal.owner, seal.raw, seal.of], separators=(",", ":"), sort_keys=True)
    return _PREFIX + base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def unwrapped(text: str) -> WireSeal | None:
    """The seal that `wrapped` wrote; None for any other text."""
    if not text.startswith(_PREFIX):
        return None
    coded = text.removeprefix(_PREFIX)
    try:
        found: Any = json.loads(base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)))
        owner, raw, of = found
    except (ValueError, TypeError, RecursionError):
        return None
    is_one = owner in get_args(FormatName) and isinstance(of, str) and _may_be_kept(owner, raw)
    return WireSeal(owner, raw, of) if is_one else None


def _may_be_kept(owner: FormatName, raw: Any) -> bool:
    """Whether a service may have given this to keep: clients can write what they like."""
    if not isinstance(raw, dict):
        return False
    if owner in _KEPT_TYPES:
        return raw.get("type") in _KEPT_TYPES[owner]
    return raw.keys() <= _KEPT_FIELDS[owner]


def signature(seal: WireSeal) -> str:
    """`wrapped` as base64, which is all that a signature of Gemini's can be."""
    return base64.b64encode(wrapped(seal).encode()).decode()


def unwrapped_signature(text: str) -> WireSeal | None:
    """The seal that `signature` wrote, which the SDK may have written in the other alphabet."""
    if not text.startswith(_CODED_PREFIX):
        return None
    try:
        return unwrapped(base64.b64decode(text.replace("-", "+").replace("_", "/")).decode("ascii"))
    except ValueError:
        return None


def shown_to(own: FormatName, blocks: Iterable[WireBlock]) -> Iterator[WireBlock]:
    """Blocks for a client of a format: others' seals at calls and texts become thoughts beside them."""
    for block in blocks:
        if isinstance(block, WireCall) and block.seal and block.seal.owner != own:
            yield beside(block, block.seal)
            yield replace(block, seal=None)
        elif isinstance(block, WireText) and block.seal and block.seal.owner != own:
            yield replace(block, seal=None)
            yield beside(block, block.seal)
        else:
            yield block


def has_others(owner: FormatName, turns: Iterable[WireTurn]) -> bool:
    """Whether turns hold what only another service made: its client was answered by more than one."""
    blocks = (block for turn in turns for block in turn.blocks)
    return any(
        block.seal.owner != owner if block.seal else owner == "anthropic" and isinstance(block, WireThought)
        for block in blocks
        if isinstance(block, WireText | WireThought | WireCall)
    )


def without_others(owner: FormatName, value: Any) -> Any:
    """A body of the service's own format without what other services made."""
    if isinstance(value, list):
        return [without_others(owner, one) for one in value if not _is_others(owner, one)]
    if not isinstance(value, dict):
        return value
    return {
        key: without_others(owner, one)
        for key, one in value.items()
        if not (isinstance(one, str) and _is_sealed_by_others(owner, one))
    }


def _is_others(owner: FormatName, part: Any) -> bool:
    if not isinstance(part, dict) or "functionCall" in part or ("text" in part and not part.get("thought")):
        return False
    if part.get("type") == "thinking" and part.get("signature") == "":
        return True
    return any(_is_sealed_by_others(owner, one) for one in part.values() if isinstance(one, str))


def _is_sealed_by_others(owner: FormatName, text: str) -> bool:
    seal = unwrapped(text) or unwrapped_signature(text)
    return seal is not None and seal.owner != owner


def kept_for(owner: FormatName, turns: Iterable[WireTurn], notes: Notes) -> tuple[WireTurn, ...]:
    """Turns for a service: without the thoughts of others' models, and what others want back."""
    found: list[WireTurn] = []
    for turn in turns:
        blocks = [block for one in turn.blocks if (block := _kept(owner, one, notes)) is not None]
        if blocks or not turn.blocks:
            found.append(replace(turn, blocks=tuple(blocks)))
    return merged(found)


def _kept(owner: FormatName, block: WireBlock, notes: Notes) -> WireBlock | None:
    if not isinstance(block, WireText | WireThought | WireCall):
        return block
    if block.seal and block.seal.owner == owner:
        return block
    if isinstance(block, WireThought):
        notes.lose(block.at, "a thought that is not of this service's model")
        return None
    if block.seal is None:
        return block
    notes.lose(f"{block.at}.signature", "what another service wants back with it")
    return None if block == WireText("", seal=block.seal) else replace(block, seal=None)


def beside(block: WireBlock, seal: WireSeal) -> WireThought:
    """The thought that carries the seal of a call or a text."""
    return WireThought("", replace(seal, of=block.call_id if isinstance(block, WireCall) else _OF_TEXT))


def gathered(blocks: Iterable[WireBlock]) -> tuple[WireBlock, ...]:
    """Blocks as a client handed them back, with the seals at their calls and texts again."""
    found = list(blocks)
    carried = [block for block in found if isinstance(block, WireThought) and block.seal and block.seal.of]
    for thought in carried:
        here = next(index for index, block in enumerate(found) if block is thought)
        seal = thought.seal
        assert seal is not None, "chosen above"
        place = _place(found, here, seal.of)
        if place is not None:
            found[place] = with_seal(found[place], replace(seal, of=""))
        del found[here]
    return tuple(found)


def _place(blocks: list[WireBlock], here: int, of: str) -> int | None:
    """Where the block is that a seal belongs to: the call of this id, or the text nearest before or after."""
    if of != _OF_TEXT:
        calls = (index for index, block in enumerate(blocks) if _is_call(block, of))
        return next(calls, None)
    order = (*range(here - 1, -1, -1), *range(here + 1, len(blocks)))
    return next((index for index in order if isinstance(blocks[index], WireText)), None)


def _is_call(block: WireBlock, call_id: str) -> bool:
    return isinstance(block, WireCall) and block.call_id == call_id
