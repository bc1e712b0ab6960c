"""Messages of version 1.0, as it wrote them: they are still understood, and it understands ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import contracts
from contracts.messages.events import EVENT_DATA, EventType, decode, encode

RECORDED = Path(__file__).parent / "messages_1_0"
RELEASED = Path(contracts.__file__).parent / "schema" / "released" / "1.0" / "event.json"
KINDS = sorted(path.stem for path in RECORDED.glob("*.json"))


def test_every_type_of_1_0_was_recorded() -> None:
    released = json.loads(RELEASED.read_text(encoding="utf-8"))
    text = json.dumps(released)
    assert {kind.value for kind in EventType if f'"{kind.value}"' in text} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_message_is_read_with_all_it_says(kind: str) -> None:
    raw = (RECORDED / f"{kind}.json").read_bytes()
    found = decode(raw)
    assert type(found.data) is EVENT_DATA[EventType(kind)]
    assert contains(json.loads(encode(found)), json.loads(raw))


def contains(whole: Any, part: Any) -> bool:
    """Whether `whole` says all that `part` says; it may say more in any object."""
    if isinstance(part, dict):
        return all(key in whole and contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("kind", KINDS)
def test_what_we_write_without_new_features_fits_the_released_schema(kind: str) -> None:
    validator = Draft202012Validator(json.loads(RELEASED.read_text(encoding="utf-8")))
    written = encode(decode((RECORDED / f"{kind}.json").read_bytes()))
    assert [error.message for error in validator.iter_errors(json.loads(written))] == []
