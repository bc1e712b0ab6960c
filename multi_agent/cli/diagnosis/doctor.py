"""`multi-agent doctor`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_line
from contracts.base.text import flowing
from multi_agent.application.doctor import examine_machine
from multi_agent.cli import EXIT_DONE, EXIT_FAILED
from multi_agent.cli.options import data_dir_option, json_option, model_option, sandbox_option, settings_of
from multi_agent.runtime.examination import make_examined


@click.command()
@data_dir_option
@model_option
@sandbox_option
@json_option
def doctor(as_json: bool, **options: object) -> int:
    """Show what was found on this machine and what is missing. Exits 1 when something needed is missing."""
    findings = asyncio.run(examine_machine(make_examined(settings_of(**options))))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "ok     " if finding.found else ("MISSING" if finding.needed else "absent ")
            print_line(f"{mark}  {finding.name:<22} {flowing(finding.detail)}")
    return EXIT_FAILED if any(one.needed and not one.found for one in findings) else EXIT_DONE
