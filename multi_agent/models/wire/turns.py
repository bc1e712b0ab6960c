"""What the formats of services share: results, names, and what a service wants back with its blocks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.ports.content import ContentBlock, TextBlock, ToolResult

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")


def keep(name: str, raw: Any) -> str:
    """Text for a block's `kept`, for the model of this name; "" for nothing."""
    return json.dumps({name: raw}, sort_keys=True, separators=(",", ":")) if raw else ""


def kept(name: str, block: ContentBlock) -> Any:
    """What the model of this name wants back with a block; None when that is nothing."""
    text = getattr(block, "kept", "")
    found = json.loads(text) if text else {}
    return found.get(name) if isinstance(found, Mapping) else None


def results_with_texts(blocks: Sequence[ContentBlock]) -> list[ToolResult]:
    """The results of a turn; what else it says stands with the last one.

    Some services take no text beside results, and none between them and the next answer.
    """
    results = [block for block in blocks if isinstance(block, ToolResult)]
    said = "\n\n".join(block.text for block in blocks if isinstance(block, TextBlock) and block.text)
    if results and said:
        last = results[-1]
        results[-1] = ToolResult(last.name, f"{last.text}\n\n{said}", last.call_id)
    return results


def text_of(blocks: Sequence[ContentBlock]) -> str:
    """The texts of a turn."""
    return "\n\n".join(block.text for block in blocks if isinstance(block, TextBlock) and block.text)


def sent_name(name: str) -> str:
    """The name of a tool as every service takes it; models call tools that are not there, in any spelling."""
    return _NOT_IN_NAMES.sub("_", name)[:64] or "unknown"
