from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from contracts.ports.model import ModelMessage, ModelRequest
from contracts.ports.request_hash import request_hash

REQUEST = ModelRequest(
    "coder.write", "Grüße \ud800", (ModelMessage("user", "go"),), {"type": "object", "title": "T"}, 0.0, 100
)


def test_stable_across_releases() -> None:
    """Recordings go by this value: a change makes every one of them useless."""
    assert request_hash(REQUEST) == "9ed06619d00d33344722a9b86ce4590cd474c2bfdacc412dd8ad8b554d1fdd74"


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
        replace(REQUEST, temperature=0.5),
        replace(REQUEST, max_output_tokens=101),
    ],
)
def test_every_field_counts(changed: ModelRequest) -> None:
    assert request_hash(changed) != request_hash(REQUEST)


def test_spelling_does_not_count() -> None:
    frozen = MappingProxyType({"title": "T", "type": "object"})
    assert request_hash(replace(REQUEST, temperature=0, response_schema=frozen)) == request_hash(REQUEST)


def test_what_json_does_not_know() -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        request_hash(replace(REQUEST, response_schema={"enum": {"a"}}))
    with pytest.raises(ValueError, match="JSON"):
        request_hash(replace(REQUEST, temperature=float("nan")))
