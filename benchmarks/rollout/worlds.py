"""What two arms do in simulated rollouts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

MARGIN: Final = 0.05


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and how each arm would end it."""

    key: int
    legacy: bool
    multi_agent: bool
    legacy_delay: int
    """Requests that come before it is known."""
    delay: int
    worse: bool
    """Whether multi-agent is worse by the margin or more when it comes."""


@dataclass(frozen=True, slots=True)
class World:
    """How both arms do, by the number of the request."""

    legacy: float = 0.85
    lead: float = 0.0
    """Of multi-agent."""
    drift: float = 0.0
    """Change of both arms over 10,000 requests."""
    decay: float = 0.0
    """Change of multi-agent alone over 10,000 requests."""
    bad_day: float = 0.0
    """Change of both arms from request 600 to 1,600."""
    keys: int = 0
    """Keys, the first of them with most requests and each with a success of its own; 0 for a new one each."""
    delayed: bool = False
    """Whether outcomes come late, and failures of multi-agent latest."""

    def requests(self, seed: int) -> Iterator[Request]:
        """All that come, without end."""
        chance = random.Random(seed)
        weights = list(accumulate(1 / (rank + 1) for rank in range(self.keys)))
        offsets = [min(max(chance.gauss(0, 0.15), -0.5), 0.14) for _ in range(self.keys)]
        mean = sum(offsets) / len(offsets) if offsets else 0.0
        number = 0
        while True:
            share = min(number / 10_000, 1.0)
            lead = self.lead + self.decay * share
            base = self.legacy + self.drift * share + (self.bad_day if 600 <= number < 1_600 else 0.0)
            key = number
            if self.keys:
                key = chance.choices(range(self.keys), cum_weights=weights)[0]
                base += offsets[key] - mean
            legacy, ours = chance.random() < base, chance.random() < base + lead
            late = (chance.expovariate(1 / 50), chance.expovariate(1 / (50 if ours else 500)))
            delays = (int(late[0]), int(late[1])) if self.delayed else (0, 0)
            yield Request(key, legacy, ours, *delays, lead <= -MARGIN + 1e-9)
            number += 1


WORLDS: Final[Mapping[str, World]] = {
    "equal": World(),
    "better by 5": World(lead=0.05),
    "worse by 5": World(lead=-0.05),
    "worse by 15": World(lead=-0.15),
    "slow drift of both, equal": World(legacy=0.88, drift=-0.10),
    "slow drift of both, worse by 5": World(legacy=0.90, lead=-0.05, drift=-0.10),
    "slow decay to worse by 15": World(decay=-0.15),
    "bad day, equal": World(bad_day=-0.12),
    "bad day, worse by 5": World(lead=-0.05, bad_day=-0.08),
    "skewed keys, equal": World(keys=20_000),
    "skewed keys, worse by 5": World(lead=-0.05, keys=20_000),
    "delayed outcomes, equal": World(delayed=True),
    "delayed outcomes, worse by 5": World(lead=-0.05, delayed=True),
}
