"""Write the dashboards and the page of all metrics from the code.

With --check, exit 1 where a file is not what would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path

from monitoring.boards import BOARDS
from monitoring.grafana import to_json
from monitoring.metrics_page import page

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "monitoring" / "grafana" / "dashboards"


def files() -> dict[Path, str]:
    """Each file, and what belongs into it."""
    dashboards = {FOLDER / f"{board.uid}.json": to_json(board) for board in BOARDS}
    return {ROOT / "docs" / "metrics.md": page(), **dashboards}


if __name__ == "__main__":
    wanted = files()
    if "--check" in sys.argv[1:]:
        there = {path: path.read_text("utf-8") for path in {*FOLDER.iterdir(), *wanted} if path.exists()}
        odd = sorted(path.name for path in {*there, *wanted} if there.get(path) != wanted.get(path))
        sys.exit(f"out of date, run this without --check: {', '.join(odd)}" if odd else 0)
    for path, text in wanted.items():
        path.write_text(text, "utf-8")
