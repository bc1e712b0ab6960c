"""What a dashboard is made of, without Grafana."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Unit: TypeAlias = Literal["short", "s", "percentunit", "percent", "currencyUSD", "ops", "reqps"]
"""As Grafana calls them; `percentunit` is for 0 to 1."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of Prometheus."""

    expr: str
    legend: str = ""
    """With `{{label}}` for the value of a label; "" for a single series."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture."""

    title: str
    about: str
    """What it shows."""
    queries: tuple[Query, ...]
    when_red: str
    """What to do about it, an imperative sentence."""
    unit: Unit = "short"
    red_from: float | None = None
    """The value from which it is red; None where only a person can tell."""
    red_below: bool = False
    """Whether smaller values are worse."""

    @property
    def description(self) -> str:
        """What people read when they point at it."""
        return f"{self.about} When it is red, or odd: {self.when_red}"


class Number(Panel):
    """A panel that shows one number now."""


class Lines(Panel):
    """A panel that shows lines over time."""


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard: numbers first, lines below."""

    uid: str
    """Of its address and its file."""
    title: str
    about: str
    panels: tuple[Panel, ...]


def quantiles(histogram: str, by: str = "") -> tuple[Query, ...]:
    """Median and 95th percentile of a histogram, per value of a label where one is given."""
    over, legend = (f"le, {by}", f"{{{{{by}}}}} ") if by else ("le", "")
    return tuple(
        Query(
            f"histogram_quantile({share}, sum by ({over}) (rate({histogram}_bucket[$__rate_interval])))",
            f"{legend}{name}",
        )
        for share, name in ((0.5, "median"), (0.95, "95 %"))
    )


def events(*kinds: str, window: str = "$__rate_interval") -> str:
    """How many entries of these kinds the journal got in a time."""
    wanted = "|".join(kind.replace(".", "[.]") for kind in kinds)
    return f'sum(increase(multi_agent_journal_events_total{{kind=~"{wanted}"}}[{window}]))'
