"""What one request's trouble teaches about a model, and what two requests' troubles do not."""

from __future__ import annotations

import pytest

from contracts.base.errors import ModelUnavailable
from contracts.base.secrets.redaction import Redactor
from contracts.ports.model import ModelMessage, ModelRequest
from multi_agent.models.adapters.accepted import Accepted, SchemaStyle
from multi_agent.models.adapters.adapting import Adapting, Knowledge, Way
from multi_agent.models.adapters.endpoint import Endpoint
from multi_agent.models.adapters.failures import HttpFailure
from multi_agent.models.prices import Price

ENDPOINT = Endpoint(
    service="openai",
    model="m",
    api_key=None,
    base_url=None,
    url_setting="OPENAI_BASE_URL",
    proxy=None,
    timeout_seconds=5.0,
    max_answer_bytes=1_000,
    redact=Redactor(),
    price=Price(),
)


class Server:
    """Breaks `broken` times, then answers."""

    def __init__(self, broken: int) -> None:
        self._broken = broken
        self.styles: list[SchemaStyle] = []

    async def send(self, way: Way) -> str:
        self.styles.append(way.schema_style)
        if len(self.styles) <= self._broken:
            raise ValueError
        return "{}"


def request(name: str) -> ModelRequest:
    return ModelRequest(name, "", (ModelMessage("user", name),), response_schema={"type": "object"})


def failure(_error: Exception) -> HttpFailure:
    return HttpFailure(500, "broken")


async def test_a_server_that_breaks_twice_at_one_request_is_asked_in_words() -> None:
    adapting, server = Adapting(ENDPOINT, Knowledge(), Accepted()), Server(2)
    with pytest.raises(ModelUnavailable):
        await adapting.ask(request("a"), server.send, failure)
    assert await adapting.ask(request("a"), server.send, failure) == "{}"
    assert server.styles == [SchemaStyle.JSON_SCHEMA, SchemaStyle.JSON_SCHEMA, SchemaStyle.WORDS]


async def test_an_accident_of_two_requests_at_once_teaches_nothing() -> None:
    adapting, server = Adapting(ENDPOINT, Knowledge(), Accepted()), Server(2)
    for name in ("a", "b"):
        with pytest.raises(ModelUnavailable):
            await adapting.ask(request(name), server.send, failure)
    for name in ("a", "b"):
        assert await adapting.ask(request(name), server.send, failure) == "{}"
    assert set(server.styles) == {SchemaStyle.JSON_SCHEMA}
