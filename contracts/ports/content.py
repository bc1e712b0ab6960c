"""What a turn of a conversation holds: text, calls of tools, their results, thoughts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field

from contracts.base.text import encodable

_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class TextBlock:
    """What is said."""

    text: str
    kept: str = ""
    """What the service that made it wants back with it. Its adapter alone reads that."""
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class ThinkingBlock:
    """What a model thought, which its own service may want back as it was, and nobody else is shown."""

    text: str
    kept: str = ""
    kind: Literal["thinking"] = "thinking"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, as a model made it; nothing of it is checked."""

    name: str
    arguments: str
    """A JSON object, unless the model made a mistake or was cut off."""
    call_id: str = ""
    """By which its result is known; "" where the service gives none."""
    kept: str = ""
    kind: Literal["call"] = "call"

    @property
    def parsed(self) -> dict[str, Any] | None:
        """The arguments; None where they are no JSON object of valid Unicode."""
        try:
            # Models forget to escape line ends.
            found = json.loads(self.arguments or "{}", strict=False)
            json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def as_object(self) -> dict[str, Any]:
        """The arguments as they can be sent again: services read them as an object."""
        found = self.parsed
        return {"unreadable": encodable(self.arguments[:_SHOWN])} if found is None else found


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call."""

    name: str
    text: str
    call_id: str = ""
    kind: Literal["result"] = "result"


ContentBlock: TypeAlias = Annotated[
    TextBlock | ThinkingBlock | ToolCall | ToolResult, Field(discriminator="kind")
]
