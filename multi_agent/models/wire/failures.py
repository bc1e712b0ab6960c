"""What can go wrong with a request, and how each format says it: status and body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from multi_agent.models.wire.canonical import FormatName

FailureKind: TypeAlias = Literal[
    "invalid",
    "authentication",
    "spent",
    "permission",
    "not_found",
    "too_large",
    "rate_limit",
    "timeout",
    "overloaded",
    "server",
]


@dataclass(frozen=True, slots=True)
class WireFailure:
    """Why there is no answer."""

    kind: FailureKind
    message: str
    """One line for whoever sent the request."""
    param: str = ""
    """The field it is about."""


class _Words(NamedTuple):
    """A kind of failure: Anthropic's status and type, OpenAI's status, type and code, Google's."""

    anthropic: tuple[int, str]
    openai: tuple[int, str, str | None]
    google: tuple[int, str]


_INVALID: Final = "invalid_request_error"
_WORDS: Final[Mapping[FailureKind, _Words]] = {
    "invalid": _Words((400, _INVALID), (400, _INVALID, None), (400, "INVALID_ARGUMENT")),
    "authentication": _Words(
        (401, "authentication_error"), (401, _INVALID, "invalid_api_key"), (401, "UNAUTHENTICATED")
    ),
    "spent": _Words(
        (402, "billing_error"), (429, "insufficient_quota", "insufficient_quota"), (429, "RESOURCE_EXHAUSTED")
    ),
    "permission": _Words(
        (403, "permission_error"), (403, _INVALID, "permission_denied"), (403, "PERMISSION_DENIED")
    ),
    "not_found": _Words((404, "not_found_error"), (404, _INVALID, "model_not_found"), (404, "NOT_FOUND")),
    "too_large": _Words(
        (413, "request_too_large"), (413, _INVALID, "request_too_large"), (413, "INVALID_ARGUMENT")
    ),
    "rate_limit": _Words(
        (429, "rate_limit_error"), (429, "requests", "rate_limit_exceeded"), (429, "RESOURCE_EXHAUSTED")
    ),
    "timeout": _Words((504, "timeout_error"), (504, "server_error", "timeout"), (504, "DEADLINE_EXCEEDED")),
    "overloaded": _Words(
        (529, "overloaded_error"), (503, "server_error", "server_is_overloaded"), (503, "UNAVAILABLE")
    ),
    "server": _Words((500, "api_error"), (500, "server_error", "server_error"), (500, "INTERNAL")),
}
_BY_STATUS: Final[Mapping[int, FailureKind]] = {
    401: "authentication",
    402: "spent",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


def failure_status(name: FormatName, failure: WireFailure) -> int:
    """The HTTP status with which a format says it."""
    words = _WORDS[failure.kind]
    match name:
        case "anthropic":
            return words.anthropic[0]
        case "gemini":
            return words.google[0]
        case _:
            return words.openai[0]


def failure_body(name: FormatName, failure: WireFailure) -> dict[str, Any]:
    """The body with which a format says it."""
    words = _WORDS[failure.kind]
    match name:
        case "anthropic":
            return {"type": "error", "error": {"type": words.anthropic[1], "message": failure.message}}
        case "gemini":
            code, status = words.google
            return {"error": {"code": code, "message": failure.message, "status": status}}
        case _:
            _, kind, code_name = words.openai
            said = {"message": failure.message, "type": kind, "param": failure.param or None}
            return {"error": {**said, "code": code_name}}


def read_failure(body: Any, status: int = 0) -> WireFailure:
    """What the body of an error of any format says, with the status it came with, 0 for none."""
    found = body if isinstance(body, Mapping) else {}
    error = found.get("error")
    if not isinstance(error, Mapping):
        # Some servers of these formats say it in words of their own.
        said = next((found[key] for key in ("error", "message", "detail") if found.get(key)), None)
        error = {"message": said}
    message = str(error.get("message") or "the service gave no reason")
    names = {error.get("type"), error.get("code"), error.get("status")}
    named = (kind for kind, words in _WORDS.items() if names & {words.anthropic[1], words.openai[2]} - {None})
    kind = next(named, None)
    if kind is None or kind == "invalid":
        kind = _of_status(status or _number(error.get("code"))) or kind or _of_google(error.get("status"))
    return WireFailure(kind, message, str(error.get("param") or ""))


def _of_status(status: int) -> FailureKind | None:
    if status < 400:
        return None
    return _BY_STATUS.get(status, "invalid" if status < 500 else "server")


def _of_google(status: object) -> FailureKind:
    found = (kind for kind, words in _WORDS.items() if words.google[1] == status)
    return next(found, "server")


def _number(code: object) -> int:
    return code if type(code) is int else 0
