"""E-values: never louder than what was seen, always valid, and exact in their mean."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multi_agent.rollout.evidence import (
    ALARM_BETS,
    GATE_BETS,
    Assigned,
    MeasuredStep,
    OutcomeGroup,
    alarm_log_e,
    gate_log_e,
    low_log_e,
    worse_log_e,
)

MARGIN = 0.05
SHARES = [(10, 0), (10, 15), (25, 0), (75, 0), (1, 99), (99, 1)]


def one_request(
    percent: int, shadow: int, centre: int, p_legacy: float, p_ours: float
) -> list[tuple[float, OutcomeGroup]]:
    """Each way that a request can go, with its probability."""
    ways: list[tuple[float, OutcomeGroup]] = []
    given_arms: dict[Assigned, float] = {
        "multi_agent": percent / 100,
        "shadowed": shadow / 100,
        "legacy": 1 - (percent + shadow) / 100,
    }
    for (arm, share), legacy, ours in product(given_arms.items(), (True, False), (True, False)):
        chance = share * (p_legacy if legacy else 1 - p_legacy) * (p_ours if ours else 1 - p_ours)
        shown = (legacy if arm != "multi_agent" else None, ours if arm != "legacy" else None)
        ways.append((chance, OutcomeGroup(0, percent, shadow, arm, centre, *shown, 1)))
    return ways


@pytest.mark.parametrize(("percent", "shadow"), SHARES)
@pytest.mark.parametrize("legacy", [0.3, 0.85, 0.99])
@pytest.mark.parametrize("centre", [1, 17])
def test_a_bet_wins_nothing_in_the_mean_where_its_hypothesis_holds(
    percent: int, shadow: int, legacy: float, centre: int
) -> None:
    at_the_margin = one_request(percent, shadow, centre, legacy, legacy - MARGIN)
    gate = sum(chance * math.exp(gate_log_e([one], MARGIN)) for chance, one in at_the_margin)
    worse = sum(chance * math.exp(worse_log_e([one], MARGIN)) for chance, one in at_the_margin)
    assert gate == pytest.approx(1.0)
    assert worse == pytest.approx(0.5)  # the half that is kept for later blocks
    equal = one_request(percent, shadow, centre, legacy, legacy)
    assert sum(chance * math.exp(gate_log_e([one], MARGIN)) for chance, one in equal) > 1.0


def test_arms_of_one_arm_alone_say_nothing() -> None:
    for percent, arm in ((100, "multi_agent"), (0, "legacy")):
        given_arm: Assigned = "multi_agent" if arm == "multi_agent" else "legacy"
        alone = [OutcomeGroup(0, percent, 0, given_arm, 17, True, True, 1_000)]
        assert gate_log_e(alone, MARGIN) == pytest.approx(0.0)


outcomes = st.lists(
    st.builds(
        OutcomeGroup,
        st.integers(0, 5),
        st.just(10),
        st.just(15),
        st.sampled_from(["multi_agent", "shadowed", "legacy"]),
        st.integers(1, 19),
        st.sampled_from([True, False, None]),
        st.sampled_from([True, False, None]),
        st.integers(1, 50),
    ),
    max_size=12,
)


@given(outcomes, st.booleans(), st.booleans())
def test_what_has_not_ended_never_speaks_for_the_decision(
    counted: list[OutcomeGroup], legacy: bool, ours: bool
) -> None:
    later = [
        OutcomeGroup(
            one.block,
            one.percent,
            one.shadow,
            one.assigned,
            one.centre,
            legacy if one.legacy is None else one.legacy,
            ours if one.multi_agent is None else one.multi_agent,
            one.count,
        )
        for one in counted
    ]
    assert gate_log_e(counted, MARGIN) <= gate_log_e(later, MARGIN) + 1e-9
    assert worse_log_e(counted, MARGIN) <= worse_log_e(later, MARGIN) + 1e-9
    assert low_log_e(counted, 0.7) <= low_log_e(later, 0.7) + 1e-9


def test_an_alarm_hears_a_change_that_comes_late() -> None:
    good = [MeasuredStep(block, -1.0, 100) for block in range(50)]
    bad = [MeasuredStep(block, 0.5, 100) for block in range(50, 52)]
    assert alarm_log_e(good) < 0
    assert alarm_log_e([*good, *bad]) > math.log(1_000)


def test_bets_never_lose_all() -> None:
    assert max(*GATE_BETS, *ALARM_BETS) < 1
    worst = [OutcomeGroup(0, 1, 0, "multi_agent", 19, None, False, 10_000)]
    assert math.isfinite(gate_log_e(worst, MARGIN))
    assert alarm_log_e([]) == 0.0
