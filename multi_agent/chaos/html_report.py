"""The certificate as one self-contained HTML page, with a timeline of faults against progress."""

from __future__ import annotations

from html import escape
from typing import Any, Final

_WIDTH, _ROW, _LEFT, _PROGRESS = 960, 18, 130, 120
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
body { color: #1b1f24 }
table { border-collapse: collapse; width: 100% } td, th { padding: .2rem .6rem; text-align: left }
th { border-bottom: 2px solid #8c959f } td { border-bottom: 1px solid #d8dee4 } .n, th.n { text-align: right }
.good { color: #116329 } .bad { color: #a40e26 } svg { width: 100%; height: auto } code { font-size: 13px }
svg text { font: 11px system-ui, sans-serif; fill: #57606a }
"""


def render_page(report: dict[str, Any]) -> str:
    """Render the page for a report's JSON document."""
    violations = report["violations"]
    verdict = "No violation" if violations == 0 else f"{violations} violations"
    kind = "good" if violations == 0 else "bad"
    figures = "".join(
        f"<li>{escape(name.replace('_', ' '))}: {value:,.4g}</li>"
        for name, value in report["figures"].items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Crash certificate</title>'
        f"<style>{_STYLE}</style></head><body><h1>Crash certificate</h1>"
        f'<p class="{kind}"><strong>{verdict}</strong> in {report["minutes"]:g} minutes on '
        f"{escape(report['database'])}; seed <code>{escape(report['seed'])}</code>, Python "
        f"{escape(report['python'])}, {escape(report['system'])}.</p>"
        f"{_table(report['faults'])}<h2>Faults against progress</h2>{_timeline(report['timeline'])}"
        f"<h2>Figures</h2><ul>{figures}</ul>{_points(report['faults'])}{_findings(report)}</body></html>\n"
    )


def _table(faults: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(row['fault'])}</code></td><td>{escape(row['what'])}</td>"
        f'<td>{escape(row["promises"])}</td><td class="n">{row["injections"]:,}</td>'
        f'<td class="n {"good" if not row["findings"] else "bad"}">{len(row["findings"])}</td>'
        f'<td class="n">{_percent(row["bound"])}</td></tr>'
        for row in faults
    )
    return (
        '<table><thead><tr><th>Fault</th><th>What</th><th>Promises tried</th><th class="n">Injections</th>'
        '<th class="n">Violations</th><th class="n">Rate below (95 %)</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _percent(bound: float | None) -> str:
    return "–" if bound is None else f"{bound:.2%}"


def _points(faults: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(point)}</code></td><td>{escape(row['fault'])}</td>"
        f'<td class="n">{count:,}</td></tr>'
        for row in faults
        for point, count in row["points"].items()
    )
    if not rows:
        return ""
    return (
        "<h2>Failpoints</h2><table><thead><tr><th>Failpoint</th><th>Fault</th><th>Hits</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _findings(report: dict[str, Any]) -> str:
    found = [
        f"<li>{escape(one['promise'])} in <code>{escape(one['replay'])}</code>: {escape(one['text'])}</li>"
        for row in report["faults"]
        for one in row["findings"]
    ]
    found += [
        f"<li>{escape(one['promise'])} at the end: {escape(one['text'])}</li>" for one in report["at_the_end"]
    ]
    return f"<h2>Violations</h2><ul>{''.join(found)}</ul>" if found else ""


def _timeline(events: list[list[Any]]) -> str:
    if not events:
        return "<p>Nothing happened.</p>"
    names = list(dict.fromkeys(what for _, what, _ in events if what != "done"))
    longest = max(at for at, _, _ in events) or 1.0
    scale = (_WIDTH - _LEFT) / longest
    height = _PROGRESS + _ROW * (len(names) + 2)
    ticks = []
    for row, name in enumerate(names):
        y = _PROGRESS + _ROW * (row + 1)
        ticks.append(f'<text x="0" y="{y + 4}">{escape(name)}</text>')
        path = "".join(f"M{_LEFT + at * scale:.1f} {y - 6}v12" for at, what, _ in events if what == name)
        ticks.append(f'<path d="{path}" stroke="#cf222e" stroke-width="1" opacity=".6"/>')
    total = sum(count for _, what, count in events if what == "done") or 1
    done, line = 0, f"M{_LEFT} {_PROGRESS}"
    for at, what, count in events:
        if what == "done":
            done += count
            line += f"L{_LEFT + at * scale:.1f} {_PROGRESS - done / total * (_PROGRESS - 12):.1f}"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="faults against progress">'
        f'<text x="0" y="14">{total:,} tasks done</text>'
        f'<path d="{line}" fill="none" stroke="#0969da" stroke-width="2"/>{"".join(ticks)}'
        f'<text x="{_LEFT}" y="{height - 4}">0 s</text>'
        f'<text x="{_WIDTH}" y="{height - 4}" text-anchor="end">{longest:.0f} s</text></svg>'
    )
