"""Bytes that a consumer must reject without failing: nonsense, or a message with one mistake."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final


def malformed(chance: random.Random, samples: Sequence[bytes]) -> bytes:
    """Make one such payload. `samples` are real messages to modify."""
    if any(samples) and chance.random() < 0.6:
        return _spoiled(chance, chance.choice([sample for sample in samples if sample]))
    return chance.choice(_NONSENSE)(chance)


def _spoiled(chance: random.Random, sample: bytes) -> bytes:
    if chance.random() < 0.3:
        place = chance.randrange(len(sample))
        return sample[:place] + bytes([chance.randrange(256)]) * chance.randint(0, 3) + sample[place + 1 :]
    try:
        document: Any = json.loads(sample)
    except (ValueError, RecursionError):
        return sample[: len(sample) // 2]
    if not isinstance(document, dict) or not document:
        return sample
    chance.choice(_SPOILERS)(document, chance)
    return json.dumps(document).encode()


def _drop(document: dict[str, Any], chance: random.Random) -> None:
    del document[chance.choice(sorted(document))]


def _add(document: dict[str, Any], _chance: random.Random) -> None:
    document["surplus"] = True


def _retype(document: dict[str, Any], chance: random.Random) -> None:
    document[chance.choice(sorted(document))] = chance.choice([None, 1e308, [], {}, "x" * 5_000, -1])


def _forge(document: dict[str, Any], chance: random.Random) -> None:
    name = chance.choice(["workflowid", "taskid", "id", "specversion", "type"])
    document[name] = f"forged-{chance.randrange(10**6)}"


def _forge_data(document: dict[str, Any], chance: random.Random) -> None:
    data = document.get("data")
    if isinstance(data, dict) and data:
        data[chance.choice(sorted(data))] = f"forged-{chance.randrange(10**6)}"


_SPOILERS: Final[tuple[Callable[[dict[str, Any], random.Random], None], ...]] = (
    _drop,
    _add,
    _retype,
    _forge,
    _forge_data,
)
_NONSENSE: Final[tuple[Callable[[random.Random], bytes], ...]] = (
    lambda _: b"",
    lambda chance: chance.randbytes(200),
    lambda _: b"\xff\xfe{}",
    lambda _: b'{"type": NaN}',
    lambda _: b'{"type": ' + b"9" * 6_000 + b"}",
    lambda _: b"[" * 100_000,
    lambda _: b'{"type": "multiagent.task.dispatched", "data": {}}',
    lambda _: b'{"type": "\\ud800"}',
    lambda _: b'"' + b"x" * 1_000_000 + b'"',
)
