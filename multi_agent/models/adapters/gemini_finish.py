"""Reads, for both Gemini adapters, how an answer ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from contracts.base.errors import ModelBlocked, ModelRefused

_FINE: Final = frozenset({"", "STOP", "FINISH_REASON_UNSPECIFIED"})
_NOT_BLOCKED: Final = frozenset({"", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"})
_MALFORMED: Final = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"}
)

End: TypeAlias = Literal["", "length", "malformed"]


def check_gemini_end(name: str, *, blocked: str, finish: str, text: str, in_steps: bool = False) -> End:
    """Raise ModelRefused unless the answer is of use; else return how it ended.

    `blocked` and `finish` are the reasons as the API names them, "" for none. In steps whoever asked goes on
    from half an answer, or from none.
    """
    if blocked not in _NOT_BLOCKED:
        raise ModelBlocked(f"model {name}: the request was blocked ({blocked})")
    if in_steps and finish == "MAX_TOKENS":
        return "length"
    if in_steps and finish in _MALFORMED:
        return "malformed"
    if finish == "MAX_TOKENS":
        raise ModelRefused(
            f"model {name}: the answer was cut off at the limit of output tokens "
            "(MULTI_AGENT_MAX_OUTPUT_TOKENS)"
        )
    if finish not in _FINE:
        raise ModelBlocked(f"model {name}: the answer was blocked or broken off ({finish})")
    if not text and not in_steps:
        raise ModelRefused(f"model {name} gave an empty answer")
    return ""


def google_status(status: int, payload: object) -> int:
    """The HTTP status of a failure; 401 for a key that is none, which Google calls an invalid request."""
    return 401 if status == 400 and "API_KEY_INVALID" in _reasons(payload) else status


def _reasons(payload: object) -> set[object]:
    if isinstance(payload, list):
        payload = payload[0] if payload else None
    error = payload.get("error") if isinstance(payload, Mapping) else None
    details = error.get("details") if isinstance(error, Mapping) else None
    return {item.get("reason") for item in details or () if isinstance(item, Mapping)}
