"""What a caller asks, as far as the address of its request says it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from contracts.base.text import encodable
from multi_agent.models.wire.canonical import FormatName

Wish: TypeAlias = Literal["answer", "count", "models"]


@dataclass(frozen=True, slots=True)
class CallerQuestion:
    """What is wanted, and in which format."""

    format: FormatName
    wish: Wish
    model: str = ""
    """Where the format has it in the address; "" for all models where these are asked for."""
    streams: bool | None = None
    """Where the format says it in the address; None where the body does."""
    as_list: bool = False
    """Whether events are the entries of one JSON list, as Google streams where nobody asks for events."""


_PLAIN: Final[dict[str, CallerQuestion]] = {
    "/v1/messages": CallerQuestion("anthropic", "answer"),
    "/v1/messages/count_tokens": CallerQuestion("anthropic", "count"),
    "/v1/chat/completions": CallerQuestion("chat", "answer"),
    "/v1/responses": CallerQuestion("responses", "answer"),
    "/v1/responses/input_tokens": CallerQuestion("responses", "count"),
}
_METHODS: Final[dict[str, tuple[Wish, bool]]] = {
    "generateContent": ("answer", False),
    "streamGenerateContent": ("answer", True),
    "countTokens": ("count", False),
}
BETA_HEADERS: Final[Mapping[FormatName, str]] = {
    "anthropic": "anthropic-beta",
    "chat": "openai-beta",
    "responses": "openai-beta",
}
"""With which callers ask for what their service only tries."""
_SESSION_HEADERS: Final = ("x-session-id", "x-claude-code-session-id", "session_id")
_SESSION_FIELDS: Final[Mapping[FormatName, tuple[str, ...]]] = {
    "chat": ("prompt_cache_key", "user", "safety_identifier"),
    "responses": ("prompt_cache_key", "user", "safety_identifier"),
}
_MOST_SESSION: Final = 200
_LISTS: Final[dict[str, FormatName]] = {"/v1/models": "chat", "/v1beta/models": "gemini"}


def question_at(method: str, path: str, *, wants_events: bool = True) -> CallerQuestion | None:
    """What a request to this address asks; None where there is nothing.

    wants_events: whether the address says that a stream is to be one of events, where formats say it there.
    """
    path = f"/{path.strip('/')}"
    if method in ("GET", "HEAD"):
        return _about_models(path)
    if method != "POST":
        return None
    if path in _PLAIN:
        return _PLAIN[path]
    _, models, rest = path.partition("/models/")
    name, colon, verb = rest.rpartition(":")
    if models and colon and verb in _METHODS:
        wish, streams = _METHODS[verb]
        return CallerQuestion("gemini", wish, name, streams, as_list=streams and not wants_events)
    return None


def _about_models(path: str) -> CallerQuestion | None:
    """All models, or one."""
    for start, name in _LISTS.items():
        if path == start or path.startswith(f"{start}/"):
            return CallerQuestion(name, "models", path.removeprefix(start)[1:])
    return None


def format_at(path: str) -> FormatName:
    """The format in which whoever asked at an address reads errors, also where there is nothing."""
    path = f"/{path.strip('/')}"
    if path.startswith("/v1/messages"):
        return "anthropic"
    if path.startswith("/v1/responses"):
        return "responses"
    is_gemini = path.startswith(("/v1beta", "/v1alpha")) or ("/models/" in path and ":" in path)
    return "gemini" if is_gemini else "chat"


def lost_header(name: FormatName, said: Mapping[str, str]) -> tuple[str, ...]:
    """What a service of another format is not told of a caller's headers."""
    header = BETA_HEADERS.get(name, "")
    return (f"{header}: {said[header]} is for services of its own format",) if header in said else ()


def session_in(headers: Mapping[str, str]) -> str:
    """What a caller says in headers that its requests belong to; "" for nothing."""
    return _first(headers.get(name) for name in _SESSION_HEADERS)


def session_of(name: FormatName, body: Any) -> str:
    """What a caller says in a body that it belongs to: a session, or whoever asks; "" for nothing."""
    if not isinstance(body, dict):
        return ""
    if name == "anthropic":
        told = body.get("metadata")
        return _of_user(told.get("user_id")) if isinstance(told, dict) else ""
    return _first(body.get(field) for field in _SESSION_FIELDS.get(name, ()))


def _of_user(user: object) -> str:
    """The session in what Claude Code calls its user, `..._session_ID` or JSON; else the user."""
    if not isinstance(user, str):
        return ""
    with suppress(ValueError, RecursionError):
        told = json.loads(user)
        return _first([told.get("session_id"), user] if isinstance(told, dict) else [user])
    return _first([user.rpartition("_session_")[2]])


def _first(found: Iterable[object]) -> str:
    return next((encodable(one[:_MOST_SESSION]) for one in found if isinstance(one, str) and one), "")


def shown_model(name: FormatName, model: str) -> dict[str, object]:
    """What a caller is told of a model; what is for OpenAI's callers is for Anthropic's too."""
    if name == "gemini":
        methods = ["generateContent", "countTokens"]
        return {"name": f"models/{model}", "displayName": model, "supportedGenerationMethods": methods}
    return {
        **{"id": model, "object": "model", "created": 0, "owned_by": "gateway"},
        **{"type": "model", "display_name": model, "created_at": "1970-01-01T00:00:00Z"},
    }


def listed(name: FormatName, models: list[str]) -> dict[str, object]:
    """The answer to a caller that asks which models there are."""
    entries = [shown_model(name, model) for model in models]
    if name == "gemini":
        return {"models": entries}
    ends = {"first_id": models[0] if models else None, "last_id": models[-1] if models else None}
    return {"object": "list", "data": entries, "has_more": False, **ends}
