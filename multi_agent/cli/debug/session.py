"""`multi-agent debug session`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_json, print_line
from multi_agent.cli.debug.reading import read_log
from multi_agent.cli.debug.text import as_json as json_of
from multi_agent.cli.debug.text import print_requests
from multi_agent.cli.options import data_dir_option, json_option
from multi_agent.gateway.records.store import LoggedRequest

_EVER: Final = "999999d"


@click.command()
@click.argument("session_id", metavar="ID")
@click.option(
    "--recording",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write what was asked and answered to DIR/recording.json, for `--model replay:DIR`.",
)
@data_dir_option
@json_option
def session(session_id: str, recording: Path | None, as_json: bool, **where: Any) -> None:
    """List the requests of a session in their order.

    A session is what a caller says: the header `x-session-id`, `metadata.user_id` of Anthropic's format (of
    Claude Code its session alone), `prompt_cache_key` or `user` of OpenAI's.
    """
    found = read_log(since=_EVER, session=session_id, bodies=recording is not None, **where)
    if not found:
        raise InvalidInput(
            f"no request of the session {session_id[:200]!r} is in the log; "
            "`debug requests --json` shows those that are"
        )
    if recording:
        return _record(found, session_id, recording)
    if as_json:
        return print_json([json_of(one.record) for one in found])
    return print_requests(one.record for one in found)


def _record(found: list[LoggedRequest], session_id: str, folder: Path) -> None:
    from multi_agent.gateway.records.as_recording import recording_of  # noqa: PLC0415 - listing does without
    from multi_agent.models.recordings.recorder import FILE_NAME, save_recording  # noqa: PLC0415

    recording = recording_of(session_id, found)
    if not recording.exchanges:
        raise InvalidInput(
            f"none of the {len(found)} requests of this session was kept with its answer; "
            "start the gateway with --log-bodies"
        )
    folder.mkdir(0o700, parents=True, exist_ok=True)
    path = folder / FILE_NAME
    if path.exists():
        raise InvalidInput(f"{path} is there already; name another folder")
    save_recording(path, recording)
    path.chmod(0o600)  # as private as the log that it is from
    print_line(f"wrote {path}: {len(recording.exchanges)} answers to {len(found)} requests")
