"""`chaos`: the crash certificate."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from pathlib import Path
from typing import Any

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_json, print_line, print_text
from multi_agent.chaos.certificate import CertificateSettings, certify
from multi_agent.chaos.faults import FAULTS
from multi_agent.chaos.report import Certificate
from multi_agent.cli import EXIT_DONE, EXIT_FAILED
from multi_agent.cli.options import json_option, sandbox_option, settings_of
from multi_agent.settings import Settings
from multi_agent.telemetry.logs import set_up_logs

_ROUND = re.compile(r"[A-Za-z0-9_-]+/[a-z-]+/[0-9]+")


@click.command()
@click.option("--minutes", type=click.FloatRange(0), default=5.0, show_default=True, help="How long.")
@click.option("--faults", metavar="NAME,...", help="Faults to inject. [default: all that can be had here]")
@click.option("--list", "list_faults", is_flag=True, help="Print the faults, and do nothing.")
@click.option("--round-seconds", type=click.FloatRange(1), default=15.0, show_default=True)
@click.option(
    "--rest-seconds", type=click.FloatRange(1), default=90.0, show_default=True, help="Time to come to rest."
)
@click.option("--seed", help="Start of all chance. [default: made up]")
@click.option("--replay", metavar="SEED/FAULT/ROUND", help="Only this round, as a report names it.")
@click.option("--postgres", is_flag=True, help="On a private PostgreSQL, with two orchestrators.")
@click.option(
    "--deployment",
    is_flag=True,
    help="On the Redis, PostgreSQL and artifact store that are set; hits only processes started here.",
)
@click.option("--keep", is_flag=True, help="Keep the scratch folder also when nothing was found.")
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="chaos-report",
    show_default=True,
    help="Folder for report.txt, report.json and report.html.",
)
@sandbox_option
@json_option
def chaos(list_faults: bool, folder: Path, as_json: bool, **options: Any) -> int:
    """Kill, stop and starve a real system in a scratch folder, and check that nothing is lost.

    Rounds of one fault each run against a load of small workflows; after each everything must come to rest,
    and what was promised is checked. Exit code 1 when a promise was broken; the scratch folder then stays.
    """
    if list_faults:
        for fault in FAULTS:
            print_line(f"{fault.name:16} {fault.what} ({fault.promise})")
        return EXIT_DONE
    wanted = _wanted(**options)
    report = asyncio.run(_certify(wanted))
    report.write(folder)
    if as_json:
        print_json(report.as_json())
    else:
        print_text("\n".join(report.lines()))
    return EXIT_FAILED if report.violations else EXIT_DONE


async def _certify(wanted: CertificateSettings) -> Certificate:
    """Run it; the first signal ends it after the round at hand, with a report."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(number: int) -> None:
        print_line("ending after this round; once more ends it at once", err=True)
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked, number)
    return await certify(wanted, lambda text: print_line(text, err=True), stop)


def _wanted(**options: Any) -> CertificateSettings:
    replay = options["replay"]
    if replay is not None and not _ROUND.fullmatch(replay):
        raise InvalidInput(f"--replay {replay!r}: must look like 7/redis-flush/0, as a report prints it")
    names = tuple(filter(None, (options["faults"] or "").split(",")))
    settings = settings_of()
    set_up_logs("error", settings.redactor, process="chaos")
    return CertificateSettings(
        minutes=options["minutes"],
        round_seconds=options["round_seconds"],
        rest_seconds=options["rest_seconds"],
        faults=names,
        seed=options["seed"] or str(int(time.time())),
        replay=replay,
        postgres=options["postgres"],
        sandbox=options["sandbox"] or "auto",
        search_path=settings.search_path,
        deployment=_deployment(settings) if options["deployment"] else None,
        keep=options["keep"],
    )


def _deployment(settings: Settings) -> Settings:
    """The settings of a deployment that others can join. Raises InvalidInput."""
    if settings.redis_url is None or not settings.database.startswith("postgres"):
        raise InvalidInput("--deployment needs REDIS_URL, and DATABASE_URL of a PostgreSQL")
    return settings.model_copy(update={"artifact_store": settings.artifacts})
