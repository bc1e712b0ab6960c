"""What services say about a request that they do not accept, and what follows from it."""

from __future__ import annotations

import os
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import ModelUnavailable, MultiAgentError, NotConfigured
from contracts.base.secrets.redaction import Redactor
from multi_agent.models import told
from multi_agent.models.adapters.accepted import Accepted, SchemaStyle, Sent, Told, adapted, room_in
from multi_agent.models.adapters.connection import connection_error
from multi_agent.models.adapters.endpoint import Endpoint
from multi_agent.models.adapters.failures import HttpFailure, ask
from multi_agent.models.adapters.memory import ModelMemory
from multi_agent.models.prices import Price

ASKED = 16_384
SENT = Sent(Accepted(), ASKED, with_schema=True)


def endpoint(**changes: Any) -> Endpoint:
    values: dict[str, Any] = {
        "service": "openai",
        "model": "m",
        "api_key": None,
        "base_url": "http://models.example:8000/v1",
        "url_setting": "OPENAI_BASE_URL",
        "proxy": None,
        "timeout_seconds": 5.0,
        "max_answer_bytes": 1_000,
        "redact": Redactor(),
        "price": Price(),
    }
    return Endpoint(**values | changes)


@pytest.mark.parametrize(
    ("detail", "most"),
    [
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8192),
        ("Range of max_tokens should be [1, 8192]", 8192),
        ("max_tokens is too large: 16384. This model supports at most 4096 completion tokens", 4096),
        (
            "max_tokens: 16384 > 8192, which is the maximum allowed number of output tokens for gpt-4-0314",
            8192,
        ),
        ("`max_tokens` must be less than or equal to `8,192`", 8192),
        ("maxOutputTokens: the supported range is from 1 (inclusive) to 8193 (exclusive)", 8192),
    ],
)
def test_the_limit_that_a_service_names(detail: str, most: int) -> None:
    following = adapted(SENT, HttpFailure(400, detail.replace("maxOutputTokens", "max_output_tokens")))
    assert following is not None
    assert following.limit == following.accepted.max_output_tokens == most
    assert following.accepted.limit(ASKED, 0) == most
    assert following.accepted.limit(1_000, 0) == 1_000


@pytest.mark.parametrize(
    ("detail", "context", "left"),
    [
        ("maximum context length is 4096 tokens, you requested 18000", 4096, 2480),
        (
            "This model's maximum context length is 8,192 tokens. However, you requested 17384 tokens "
            "(1000 in the messages, 16384 in the completion).",
            8192,
            7192,
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 16384. This model's maximum context "
            "length is 4096 tokens and your request has 1616 input tokens",
            4096,
            2480,
        ),
        (
            "the request exceeds the available context size (1024 tokens), request (1616 tokens)",
            1024,
            -592,
        ),
    ],
)
def test_the_room_that_a_service_names(detail: str, context: int, left: int) -> None:
    failure = HttpFailure(400, detail)
    room = room_in(failure, ASKED)
    assert room is not None
    assert (room.context, room.left) == (context, left)
    following = adapted(SENT, failure)
    if left < 0:
        assert following is None
        return
    assert following is not None
    assert following.limit == left
    # A larger request leaves less room, and is never refused here: the service counts better.
    assert following.accepted.limit(ASKED, 0) == context
    assert following.accepted.limit(ASKED, 3 * (context - 300)) == 300
    assert following.accepted.limit(ASKED, 3 * context) == 256


def test_one_name_then_the_other_and_no_third() -> None:
    failure = HttpFailure(400, "unsupported", param="max_tokens")
    other = adapted(Sent(Accepted(), ASKED, with_schema=False), failure)
    assert other is not None
    assert other.accepted.limit_name == "max_completion_tokens"
    assert adapted(other, HttpFailure(400, "unsupported", param="max_completion_tokens")) is None


def test_a_schema_is_not_blamed_for_size() -> None:
    assert adapted(SENT, HttpFailure(413, "too large")) is None
    following = adapted(SENT, HttpFailure(400, "no"))
    assert following is not None
    assert following.accepted.schema_style is SchemaStyle.JSON_OBJECT


def test_what_the_user_says_is_not_learned() -> None:
    said = told(1_000, "max_completion_tokens", "off", "off")
    known = said.over(Accepted())
    assert known == Accepted(
        schema_style=SchemaStyle.WORDS, temperature=False, limit_name="max_completion_tokens"
    )
    assert said.without(known, Accepted()) == Accepted()
    smaller = known.model_copy(update={"max_output_tokens": 500})
    assert said.without(smaller, Accepted()) == Accepted(max_output_tokens=500)
    assert Told().over(Accepted(temperature=False)).temperature is False


def test_memory_is_for_one_model_at_one_address_and_for_a_week(tmp_path: Path) -> None:
    learned = Accepted(max_output_tokens=8192)
    ModelMemory(tmp_path / "new", endpoint()).keep(learned)
    for same in ({}, {"base_url": "http://u:pw@models.example:8000/v1/"}):
        assert ModelMemory(tmp_path / "new", endpoint(**same)).recall() == learned
    for other in ({"model": "n"}, {"base_url": "http://models.example:8001/v1"}, {"service": "gemini"}):
        assert ModelMemory(tmp_path / "new", endpoint(**other)).recall() is None
    (path,) = (tmp_path / "new").iterdir()
    old = time.time() - 8 * 86_400
    os.utime(path, (old, old))
    assert ModelMemory(tmp_path / "new", endpoint()).recall() is None


def test_a_memory_that_cannot_be_used_is_none(tmp_path: Path) -> None:
    memory = ModelMemory(tmp_path / "models", endpoint())
    memory.keep(Accepted())
    (path,) = (tmp_path / "models").iterdir()
    for content in (b"", b"{", b'{"max_output_tokens": -1}', b"\xff"):
        path.write_bytes(content)
        assert memory.recall() is None
    (tmp_path / "file").write_text("")
    blocked = ModelMemory(tmp_path / "file" / "models", endpoint())
    blocked.keep(Accepted())
    assert blocked.recall() is None
    ModelMemory(None, endpoint()).keep(Accepted())


async def test_an_error_of_a_hook_keeps_its_fields() -> None:
    async def call() -> None:
        try:
            raise ModelUnavailable("busy", 7.0)
        except ModelUnavailable as error:
            raise RuntimeError("wrapped") from error

    with pytest.raises(ModelUnavailable, match="busy") as caught:
        await ask(endpoint(), call, lambda _: None)
    assert caught.value.retry_after == 7.0
    assert caught.value.__context__ is None


def nested(inner: BaseException) -> MultiAgentError:
    """The error for a failure as SDKs wrap it."""
    outer = ConnectionError("Connection error.")
    middle = OSError("All connection attempts failed")
    middle.__cause__ = ExceptionGroup("several", [inner]) if isinstance(inner, Exception) else inner
    outer.__context__ = middle
    return connection_error(endpoint(), outer)


def test_a_name_that_nobody_has_is_a_setting_and_an_outage_of_names_is_none() -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    error = nested(unknown)
    assert isinstance(error, NotConfigured)
    assert "there is no host models.example:8000; correct OPENAI_BASE_URL" in str(error)
    error = nested(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    assert isinstance(error, ModelUnavailable)
    assert str(error) == "model openai:m at models.example:8000: Temporary failure in name resolution"
    assert isinstance(connection_error(endpoint(base_url=None), unknown), ModelUnavailable)
    assert "the proxy (HTTP_PROXY" in str(connection_error(endpoint(proxy="http://p:3128"), unknown))


def test_what_has_no_words_is_named_by_its_type() -> None:
    assert str(nested(ssl.SSLEOFError())).endswith(
        ": no usable answer (OSError: All connection attempts failed)"
    )
    circular = ValueError()
    circular.__context__ = circular
    assert str(connection_error(endpoint(), circular)).endswith("no usable answer (ValueError)")
