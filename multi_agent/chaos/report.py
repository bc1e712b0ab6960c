"""The report: what was injected, what was found, and the bound on failure rates that follows."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from multi_agent.chaos.checks import FailedCheck
from multi_agent.chaos.html_report import render_page
from multi_agent.chaos.runner import FaultResult, Figures


@dataclass(frozen=True, slots=True)
class Certificate:
    """The results of one run."""

    seed: str
    database: str
    minutes: float
    results: list[FaultResult]
    figures: Figures
    at_the_end: list[FailedCheck]
    """Violations found after everything had stopped."""

    @property
    def violations(self) -> int:
        """The number of violations."""
        return sum(len(result.findings) for result in self.results) + len(self.at_the_end)

    def as_json(self) -> dict[str, Any]:
        """Return the report as a document for programs."""
        return {
            "seed": self.seed,
            "database": self.database,
            "minutes": round(self.minutes, 1),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "violations": self.violations,
            "figures": {name: value for name, value in asdict(self.figures).items() if name != "timeline"},
            "faults": [_row(result) for result in self.results],
            "at_the_end": [asdict(finding) for finding in self.at_the_end],
            "timeline": [[round(at, 2), what, count] for at, what, count in self.figures.timeline],
        }

    def lines(self) -> list[str]:
        """Return the report as lines for a terminal."""
        document = self.as_json()
        rows = [("fault", "promises", "rounds", "injections", "violations", "bound")]
        rows += [
            (
                row["fault"],
                row["promises"],
                str(row["rounds"]),
                str(row["injections"]),
                str(len(row["findings"])),
                _bound_text(row["bound"]),
            )
            for row in document["faults"]
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        figures = ", ".join(
            f"{name.replace('_', ' ')} {value:g}" for name, value in document["figures"].items()
        )
        found = [
            f"VIOLATION of {finding['promise']} in {finding['replay']}: {finding['text']}"
            for row in document["faults"]
            for finding in row["findings"]
        ]
        found += [f"VIOLATION of {one.promise} at the end: {one.text}" for one in self.at_the_end]
        verdict = f"{self.violations} violations in {self.minutes:.1f} minutes on {self.database}"
        return [*table, figures, *found, verdict]

    def write(self, folder: Path) -> None:
        """Write report.txt, report.json and report.html into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        document = self.as_json()
        (folder / "report.txt").write_text("\n".join(self.lines()) + "\n", "utf-8")
        (folder / "report.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        (folder / "report.html").write_text(render_page(document), "utf-8")


def _row(result: FaultResult) -> dict[str, Any]:
    fault = result.fault
    failed_rounds = len({seed for seed, _ in result.findings})
    return {
        "fault": fault.name,
        "what": fault.what,
        "promises": fault.promise,
        "goal": fault.goal,
        "reached": result.reached,
        "rounds": result.rounds,
        "injections": result.injections,
        "points": dict(sorted(result.points.items())),
        "failed_rounds": failed_rounds,
        # Rule of three: no failure in n trials bounds the rate at 3/n with 95 % confidence.
        "bound": 3 / result.injections if result.injections and not failed_rounds else None,
        "findings": [{"replay": seed, **asdict(finding)} for seed, finding in result.findings],
    }


def _bound_text(bound: float | None) -> str:
    return "-" if bound is None else f"< {bound:.2%}"
