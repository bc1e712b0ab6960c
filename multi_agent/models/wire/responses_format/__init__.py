"""OpenAI responses: `/v1/responses`."""

from multi_agent.models.wire.responses_format.answers import read_response, write_response
from multi_agent.models.wire.responses_format.requests import read_request, write_request
from multi_agent.models.wire.responses_format.streams import ResponsesReader, ResponsesWriter

__all__ = [
    "ResponsesReader",
    "ResponsesWriter",
    "read_request",
    "read_response",
    "write_request",
    "write_response",
]
