"""What is stored after each step, from which a successor goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from contracts.base.model import Model

EndKind = Literal["finished", "given_up", "exhausted", "asked"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a loop ended."""

    kind: EndKind
    text: str
    """The summary, or the reason."""
    steps: int
    asked: Model | None = None
    """The arguments of the call that "asked" for something else: an end that not every loop has."""


@dataclass(frozen=True, slots=True)
class CallTime:
    """When a call of a tool was made, in seconds since 1970."""

    tool: str
    started: float
    ended: float
    refused: bool


@dataclass(frozen=True, slots=True)
class StepTime:
    """When a step was taken, for whoever looks at the trace later; the work does not depend on it."""

    attempt: int
    calls: tuple[CallTime, ...]
    """In the order of the answer."""
    saved: tuple[float, float]
    """When its tree began to be kept, and was."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What a step has shown, and the tree that it left."""

    results: tuple[str, ...]
    """Of each call, in their order."""
    note: str
    """What else was said; "" for nothing."""
    tree: str
    """The name of the workspace's tree; "" as long as nothing was changed."""
    written: tuple[str, ...]
    """Paths that tools have written so far."""
    todo: tuple[tuple[str, str], ...] = ()
    """What is to be done, and how far it is."""
    answer: str = ""
    """A digest of what the answer asked for; "" in records that have none."""
    time: StepTime | None = None
    """Written, and not read back."""

    def follows(self, answer: str, calls: int) -> bool:
        """Whether this came of an answer with this digest and so many calls, not of another worker's."""
        return self.answer in {"", answer} and len(self.results) == calls

    def encode(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def decode(cls, content: bytes) -> StepRecord:
        found = json.loads(content)
        todo = tuple((text, state) for text, state in found["todo"])
        results, written = tuple(found["results"]), tuple(found["written"])
        return cls(results, found["note"], found["tree"], written, todo, found.get("answer", ""))
