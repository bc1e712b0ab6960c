"""Measures the environments of the repositories of the list, one after the other.

    nice -n 10 python -m benchmarks.environments MIRRORS [--only NAME] [--seconds 600] [--tests 600]
        [--sandbox bubblewrap --sandbox docker]

MIRRORS holds a clone of each as OWNER+NAME/repo. A step of a build, and a run of tests, may take so many
seconds. Tests run in each sandbox that is named, by default in all three, and without one, which needs root.
Results are added to a file of JSON lines, from which the table is written; those of a repository replace
older ones.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.environments.measuring import Listed, measure, read_list
from contracts.base.printing import print_line
from sandbox_runner.engine.settings import BACKENDS

_FOLDER: Final = "/var/tmp"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mirrors", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--tests", type=int, default=600)
    parser.add_argument("--sandbox", action="append", choices=BACKENDS, default=[])
    parser.add_argument("--results", type=Path, default=Path("build/environments.jsonl"))
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    for one in read_list():
        if not options.only or one.name in options.only:
            _keep(options.results, _measured(one, options))
    for line in _table(_read(options.results).values()):
        print_line(line)


def _measured(one: Listed, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=_FOLDER, ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        sandboxes = options.sandbox or ("bubblewrap", "namespaces", "docker")
        measuring = measure(one, options.mirrors, Path(folder), options.seconds, options.tests, sandboxes)
        return asdict(asyncio.run(measuring))


def _keep(results: Path, found: dict[str, Any]) -> None:
    known = {**_read(results), found["name"]: found}
    results.write_text("".join(f"{json.dumps(one)}\n" for one in known.values()), "utf-8")
    print_line(json.dumps(found))


def _read(results: Path) -> dict[str, dict[str, Any]]:
    lines = results.read_text("utf-8").splitlines() if results.exists() else []
    return {one["name"]: one for one in map(json.loads, lines)}


def _table(results: Any) -> list[str]:
    """The lines of a Markdown table."""
    lines = [
        "| repository | kind | files | environment | cold s | warm s | MB | outside | inside, kept |",
        "|---|---|---:|---|---:|---:|---:|---:|---|",
    ]
    for one in results:
        cells = [one["name"], one["kind"], one["file_count"], one["obstacle"] or one["environment"]]
        cells += [one["cold_seconds"], one["warm_seconds"], one["megabytes"]]
        inside = [
            f"{sandbox}: {_share(run)}, {_kept(one['outside'], run)}"
            for sandbox, run in one["inside"].items()
        ]
        cells += [_share(one["outside"]), "; ".join(inside)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _share(run: Mapping[str, Any]) -> str:
    if "share" not in run:
        return f"{run.get('state', '')} {run.get('exit_code', '')}".strip()
    ran = run["passed"] + run["failed"]
    return f"{run['passed']:,} of {ran:,}{' (time was up)' if run['state'] == 'timeout' else ''}"


def _kept(outside: Mapping[str, Any], inside: Mapping[str, Any]) -> str:
    """The share of what passes outside that passes inside as well, by what fails only there."""
    if not outside.get("passed") or "passed" not in inside:
        return "-"
    lost = max(len(set(inside["failing"]) - set(outside["failing"])), outside["passed"] - inside["passed"])
    return f"{max(0.0, 1 - lost / outside['passed']):.1%}"


if __name__ == "__main__":
    main()
