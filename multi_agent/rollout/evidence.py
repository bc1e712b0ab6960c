"""Evidence that may be looked at at any time: bets on outcomes, whose gain is an e-value.

An e-value is what a bet of 1 has become against a hypothesis. While the hypothesis holds, the chance that
it ever reaches 1/alpha is at most alpha, however often one looks (Ville's inequality): so it may decide at
every look, and looks cost nothing. Each bet is a mean of fixed shares of what is at stake, so that its gain
depends on counts alone and each outcome moves it in one direction. What has not ended yet is therefore filled
in with what speaks against the decision: the bound still holds, however late outcomes come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, log1p
from typing import Final, Literal

CENTRES: Final = 20
"""Centres are counted in twentieths."""
GATE_BETS: Final = (0.1, 0.2, 0.4, 0.8)
ALARM_BETS: Final = (0.2, 0.4, 0.8)
"""Shares of what can be lost in one outcome; a gate looks for small differences, an alarm for large ones."""

Assigned = Literal["multi_agent", "shadowed", "legacy"]


@dataclass(frozen=True, slots=True)
class OutcomeGroup:
    """How many requests were assigned and ended alike."""

    block: int
    """Requests that came one after the other; grows."""
    percent: int
    """Of keys answered by multi-agent when they came."""
    shadow: int
    assigned: Assigned
    centre: int
    """The legacy arm's success as it was known when they came, in twentieths."""
    legacy: bool | None
    """Whether it succeeded; None while it has not ended, and where it had no part."""
    multi_agent: bool | None
    count: int


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """How many outcomes had a value."""

    block: int
    value: float
    """At least -1, in units of what can be lost: below 0 where it is within its limit."""
    count: int


def gate_log_e(outcomes: Iterable[OutcomeGroup], margin: float) -> float:
    """log e against "multi-agent succeeds less often than legacy by `margin` or more"."""
    counts: dict[float, int] = defaultdict(int)
    for step in _differences(outcomes, margin, against=1.0):
        counts[step.value] += step.count
    gains = [_gain(counts, bet) for bet in GATE_BETS]
    return _log_sum(gains) - log(len(gains))


def worse_log_e(outcomes: Iterable[OutcomeGroup], margin: float) -> float:
    """log e against "multi-agent loses at most `margin` against legacy", for a change at any time."""
    return alarm_log_e(_differences(outcomes, margin, against=-1.0))


def low_log_e(outcomes: Iterable[OutcomeGroup], least: float) -> float:
    """log e against "multi-agent succeeds in `least` of its requests or more", for a change at any time."""
    steps = (
        MeasuredStep(one.block, (least - (one.multi_agent is not False)) / (1 - least), one.count)
        for one in outcomes
        if one.assigned != "legacy"
    )
    return alarm_log_e(steps)


def alarm_log_e(steps: Iterable[MeasuredStep]) -> float:
    """log e against "the mean is at most 0", with a bet that begins anew at each block.

    The bet of block k has 1/(k(k+1)) of what is bet, and these are 1 at most together: so a loss of early
    wins does not hide what comes later.
    """
    blocks: dict[int, dict[float, int]] = defaultdict(lambda: defaultdict(int))
    for step in steps:
        blocks[step.block][step.value] += step.count
    newest_first = [blocks[block] for block in sorted(blocks, reverse=True)]
    gains = []
    for bet in ALARM_BETS:
        total = 0.0
        for before, counts in enumerate(newest_first):
            number = len(newest_first) - before
            total += _gain(counts, bet)
            gains.append(total - log(number * (number + 1)))
    return _log_sum(gains) - log(len(ALARM_BETS)) if gains else 0.0


def _differences(outcomes: Iterable[OutcomeGroup], margin: float, against: float) -> Iterator[MeasuredStep]:
    """The steps of `_difference`; one arm alone says nothing of a difference.

    against: 1.0 when a gain speaks for promotion, -1.0 when a loss speaks for a rollback.
    """
    for one in outcomes:
        if one.percent + one.shadow and one.percent < 100:
            shares = one.percent, one.shadow, one.assigned, one.centre
            value = _difference(*shares, one.legacy, one.multi_agent, margin, against)
            yield MeasuredStep(one.block, value, one.count)


@lru_cache(maxsize=4_096)
def _difference(  # noqa: PLR0913, PLR0917 - plain values, so that it is found in the cache
    percent: int,
    shadow: int,
    given: Assigned,
    twentieths: int,
    legacy: bool | None,
    multi_agent: bool | None,
    margin: float,
    against: float,
) -> float:
    """The advantage of multi-agent plus the margin, by inverse shares of the arms.

    Its mean is exactly p(multi-agent) - p(legacy) + margin whatever else changes with time, since both arms
    are drawn from the same moments. The centre takes away most of its variance, and nothing of its mean.
    """
    ours, theirs = (percent + shadow) / 100, 1 - percent / 100
    centre, value = twentieths / CENTRES, margin
    if given != "legacy":
        value += (_filled(multi_agent, against < 0) - centre) / ours
    if given != "multi_agent":
        value -= (_filled(legacy, against > 0) - centre) / theirs
    return against * value / (1 / ours + 1 / theirs + margin)


def _filled(success: bool | None, otherwise: bool) -> bool:
    return otherwise if success is None else success


def _gain(counts: Mapping[float, int], bet: float) -> float:
    return sum(count * log1p(bet * value) for value, count in counts.items())


def _log_sum(logs: list[float]) -> float:
    largest = max(logs)
    return largest + log(sum(exp(one - largest) for one in logs))
