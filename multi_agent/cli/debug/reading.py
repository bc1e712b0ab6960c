"""What commands about the request log share: options, and the reading of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from multi_agent.bootstrap.gateway import request_log_path
from multi_agent.cli.options import data_dir_option, json_option, quiet_settings, seconds_of_span
from multi_agent.gateway.records.store import LoggedRequest, RecordFilter, read_records

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_since_option = click.option(
    "--since", default="24h", show_default=True, metavar="SPAN", help="How far back, such as 30m, 12h or 7d."
)
_model_option = click.option(
    "--model",
    "pattern",
    default="*",
    metavar="PATTERN",
    help="SERVICE:MODEL, or the name that the caller wrote, with * for any characters.",
)
_key_option = click.option("--key", "key_name", default="", metavar="NAME", help="Requests of this key.")


def log_options(command: Decorated) -> Decorated:
    """Options of which requests are wanted, and of how they are printed."""
    return _since_option(_model_option(_key_option(data_dir_option(json_option(command)))))


def read_log(
    data_dir: Path | None, *, since: str = "24h", pattern: str = "*", key_name: str = "", **wanted: Any
) -> list[LoggedRequest]:
    """The requests that are wanted, oldest first. Raises InvalidInput."""
    bodies = wanted.pop("bodies", False)
    oldest = time.time() - seconds_of_span("--since", since)
    path = request_log_path(quiet_settings(data_dir=data_dir))
    return read_records(path, RecordFilter(oldest, pattern, key_name, **wanted), bodies=bodies)
