"""Anthropic messages: `/v1/messages` and `/v1/messages/count_tokens`."""

from multi_agent.models.wire.anthropic_format.answers import read_response, write_response
from multi_agent.models.wire.anthropic_format.requests import read_request, write_request
from multi_agent.models.wire.anthropic_format.streams import AnthropicReader, AnthropicWriter

__all__ = [
    "AnthropicReader",
    "AnthropicWriter",
    "read_request",
    "read_response",
    "write_request",
    "write_response",
]
