"""Which arm a request belongs to: by a hash of its key, the same in every process and at any time."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

from multi_agent.rollout.evidence import Assigned

State = Literal["none", "running", "completed", "rolled_back"]

_PERSON: Final = b"multi-agent"
_STEPS: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Flag:
    """What the splitter is told."""

    percent: int = 0
    """Of all keys, answered by multi-agent."""
    shadow: int = 0
    """Of all keys, worked on by both arms."""
    rollout: str = ""
    """Its name; "" where there is none, and then nothing is recorded."""
    stage: int = 0
    """Counted from 0."""
    state: State = "none"


OFF: Final = Flag()


def key_hash(rollout: str, key: str) -> str:
    """What is recorded instead of the key, 16 hexadecimal digits.

    The rollout is part of it: the next one draws other keys, and nobody is always the first to try.
    """
    return blake2b(
        f"{rollout}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8, person=_PERSON
    ).hexdigest()


def assigned(flag: Flag, hashed: str) -> Assigned:
    """The arm of a key: a key that multi-agent answers at some percentage it answers at any greater one."""
    place = int(hashed[:8], 16) * 100 / _STEPS
    if place < flag.percent:
        return "multi_agent"
    return "shadowed" if place < flag.percent + flag.shadow else "legacy"
