"""Draws bar charts as SVG, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_LABEL, _BARS, _VALUE, _ROW = 250, 400, 110, 22
_COLOURS: Final = {"ours": "#2563eb", "limit": "#111827", "peer": "#9ca3af"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart."""

    label: str
    value: float

    low: float
    """The lowest measured value."""

    high: float
    """The highest measured value."""

    kind: str
    """`ours`, `limit` or `peer`; sets the colour."""


def bars(title: str, unit: str, shown: Sequence[Bar]) -> str:
    """Draw one bar for each row, longest first, with its spread as a line. All values must be above 0."""
    top = 10 ** math.ceil(math.log10(max(bar.high for bar in shown)) + 0.01)
    bottom = 10 ** math.floor(math.log10(min(bar.low for bar in shown)) - 0.01)
    span = math.log10(top / bottom)

    def x(value: float) -> float:
        return _LABEL + _BARS * math.log10(max(value, bottom) / bottom) / span

    height = 58 + _ROW * len(shown)
    width = _LABEL + _BARS + _VALUE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-size="14" font-weight="bold">{escape(title)} ({escape(unit)})</text>',
    ]
    for power in range(round(math.log10(bottom)), round(math.log10(top)) + 1):
        at = x(10**power)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="32" y2="{height - 20}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - 6}" text-anchor="middle">{10**power:,g}</text>')
    for row, bar in enumerate(sorted(shown, key=lambda one: -one.value)):
        parts += _row(bar, 36 + row * _ROW, x)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(bar: Bar, y: int, x):  # type: ignore[no-untyped-def]
    middle = y + 8
    yield f'<text x="{_LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(bar.label)}</text>'
    long = x(bar.value) - _LABEL
    yield f'<rect x="{_LABEL}" y="{y}" width="{long:.1f}" height="16" fill="{_COLOURS[bar.kind]}"/>'
    yield f'<line x1="{x(bar.low):.1f}" x2="{x(bar.high):.1f}" y1="{middle}" y2="{middle}" stroke="#f97316"/>'
    yield f'<text x="{x(bar.high) + 6:.1f}" y="{y + 12}">{bar.value:,.4g}</text>'
