"""`multi-agent audit verify`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from contracts.base.printing import print_json, print_line
from multi_agent.application.audit.checking import AuditReport, verify_export, verify_log
from multi_agent.cli import EXIT_DONE, EXIT_FAILED
from multi_agent.cli.options import data_dir_option, json_option, quiet_settings
from multi_agent.runtime.services import open_artifacts, open_client
from multi_agent.settings import Settings


@click.command()
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
)
@data_dir_option
@json_option
def verify(file: Path | None, as_json: bool, **options: object) -> int:
    """Check every row of the audit log against the row before it, the heads of the chains and their anchors.

    With FILE, an export, its rows alone are checked. Exits 1 and names the first bad row of each chain.
    """
    if file is not None:
        with file.open("rb") as lines:
            report = verify_export(lines)
    else:
        report = asyncio.run(_verify(quiet_settings(**options)))
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report, of_file=file is not None)
    return EXIT_FAILED if report.verified.bad else EXIT_DONE


async def _verify(settings: Settings) -> AuditReport:
    async with open_client(settings) as client, open_artifacts(settings) as store:
        return await verify_log(client.audit, store)


def _as_json(report: AuditReport) -> dict[str, Any]:
    found = report.verified
    return {
        "rows": found.rows,
        "anchors": report.anchors,
        "unanchored": report.unanchored,
        "heads": [{"chain": chain, **head._asdict()} for chain, head in sorted(found.heads.items())],
        "bad": [{"chain": one.chain, "number": one.number, "why": one.why} for one in found.bad],
        "open_effects": [{"number": row.number, **row.facts} for row in found.open_effects.values()],
    }


def _print(report: AuditReport, *, of_file: bool) -> None:
    found = report.verified
    for bad in found.bad:
        print_line(f"{bad.chain}: row {bad.number} is bad: {bad.why}")
    for row in found.open_effects.values():
        effect = row.facts.get("effect")
        print_line(f"{row.chain}: row {row.number}: {effect} was intended; whether it was done is unknown")
    state = "is not whole" if found.bad else "is whole"
    print_line(f"the log {state}; chains: {len(found.heads)}, rows: {found.rows}")
    if of_file:
        for chain, head in sorted(found.heads.items()):
            print_line(f"  {chain} {head.number} {head.hash}")
    else:
        print_line(f"  anchors in Git: {report.anchors}, rows that came after them: {report.unanchored}")
