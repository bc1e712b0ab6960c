"""OpenAI chat completions: `/v1/chat/completions`, as many other servers speak it too."""

from multi_agent.models.wire.chat_format.answers import read_response, write_response
from multi_agent.models.wire.chat_format.requests import read_request, write_request
from multi_agent.models.wire.chat_format.streams import ChatReader, ChatWriter

__all__ = ["ChatReader", "ChatWriter", "read_request", "read_response", "write_request", "write_response"]
