from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

import pytest

from contracts.ports.model import ModelMessage, ModelRequest
from contracts.ports.request_hash import request_hash

REQUEST = ModelRequest(
    "coder.write", "Grüße \ud800", (ModelMessage("user", "go"),), {"type": "object", "title": "T"}, 0.5, 100
)


def test_stable_across_releases() -> None:
    """Recordings go by this value: a change makes every one of them useless."""
    assert request_hash(REQUEST) == "ac4228870652561fa6957580346b93d666d3c3bdcadc71d6fddb3535299187c6"


@pytest.mark.parametrize(
    "changed",
    [
        replace(REQUEST, purpose="coder.repair"),
        replace(REQUEST, system=""),
        replace(REQUEST, messages=(ModelMessage("model", "go"),)),
        replace(REQUEST, messages=(ModelMessage("user", "go "),)),
        replace(REQUEST, messages=REQUEST.messages * 2),
        replace(REQUEST, response_schema=None),
        replace(REQUEST, response_schema={"type": "object"}),
        replace(REQUEST, temperature=0.0),
        replace(REQUEST, max_output_tokens=101),
    ],
)
def test_every_field_counts(changed: ModelRequest) -> None:
    assert request_hash(changed) != request_hash(REQUEST)


@dataclass(frozen=True, slots=True)
class _LaterMessage(ModelMessage):
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _LaterRequest(ModelRequest):
    sounds: tuple[str, ...] = ()


def _later(message: _LaterMessage, sounds: tuple[str, ...] = ()) -> _LaterRequest:
    known = {field.name: getattr(REQUEST, field.name) for field in fields(REQUEST)}
    return _LaterRequest(**{**known, "messages": (message,)}, sounds=sounds)


def test_a_later_field_counts_only_once_it_is_used() -> None:
    assert request_hash(_later(_LaterMessage("user", "go"))) == request_hash(REQUEST)
    assert request_hash(_later(_LaterMessage("user", "go"), sounds=("s",))) != request_hash(REQUEST)
    assert request_hash(_later(_LaterMessage("user", "go", images=("i",)))) != request_hash(REQUEST)


def test_a_field_at_its_default_is_left_out() -> None:
    request = ModelRequest("p", "s", (ModelMessage("user", "go"),))
    text = '{"messages":[{"role":"user","text":"go"}],"purpose":"p","system":"s"}'
    assert request_hash(request) == hashlib.sha256(text.encode()).hexdigest()


def test_spelling_does_not_count() -> None:
    frozen = MappingProxyType({"title": "T", "type": "object"})
    assert request_hash(replace(REQUEST, response_schema=frozen)) == request_hash(REQUEST)
    assert request_hash(replace(REQUEST, temperature=1)) == request_hash(replace(REQUEST, temperature=1.0))
    assert request_hash(replace(REQUEST, temperature=0)) == request_hash(replace(REQUEST, temperature=0.0))


def test_what_json_does_not_know() -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        request_hash(replace(REQUEST, response_schema={"enum": {"a"}}))
    with pytest.raises(ValueError, match="JSON"):
        request_hash(replace(REQUEST, temperature=float("nan")))
