"""Gemini: `generateContent`, `streamGenerateContent` and `countTokens`."""

from multi_agent.models.wire.gemini_format.answers import read_response, write_response
from multi_agent.models.wire.gemini_format.requests import read_request, write_request
from multi_agent.models.wire.gemini_format.streams import GeminiReader, GeminiWriter

__all__ = ["GeminiReader", "GeminiWriter", "read_request", "read_response", "write_request", "write_response"]
