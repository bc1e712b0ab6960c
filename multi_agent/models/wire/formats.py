"""Every format: how it is read into the one form between them, and written from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from multi_agent.models.wire import anthropic_format, chat_format, gemini_format, responses_format
from multi_agent.models.wire.canonical import (
    FormatName,
    WireCaller,
    WireRequest,
    WireResponse,
    WireService,
)
from multi_agent.models.wire.events import StreamReader, StreamWriter
from multi_agent.models.wire.fields import Notes


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One format."""

    read_request: Callable[[Any, Notes], WireRequest]
    write_request: Callable[[WireRequest, Notes, WireService], dict[str, Any]]
    read_response: Callable[[Any, Notes, WireCaller], WireResponse]
    write_response: Callable[[WireResponse, Notes, WireCaller], dict[str, Any]]
    stream_reader: Callable[[Notes, WireCaller], StreamReader]
    stream_writer: Callable[[Notes, WireCaller], StreamWriter]


FORMATS: Final[Mapping[FormatName, WireFormat]] = {
    "anthropic": WireFormat(
        anthropic_format.read_request,
        anthropic_format.write_request,
        anthropic_format.read_response,
        anthropic_format.write_response,
        anthropic_format.AnthropicReader,
        anthropic_format.AnthropicWriter,
    ),
    "chat": WireFormat(
        chat_format.read_request,
        chat_format.write_request,
        chat_format.read_response,
        chat_format.write_response,
        chat_format.ChatReader,
        chat_format.ChatWriter,
    ),
    "responses": WireFormat(
        responses_format.read_request,
        responses_format.write_request,
        responses_format.read_response,
        responses_format.write_response,
        responses_format.ResponsesReader,
        responses_format.ResponsesWriter,
    ),
    "gemini": WireFormat(
        gemini_format.read_request,
        gemini_format.write_request,
        gemini_format.read_response,
        gemini_format.write_response,
        gemini_format.GeminiReader,
        gemini_format.GeminiWriter,
    ),
}
