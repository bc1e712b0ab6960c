"""`--issue`: a request that stands in an issue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from multi_agent.settings import Settings

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

_issue = click.option(
    "--issue", metavar="URL|FILE", help="Take the request from an issue: at GitHub or GitLab, or in a file."
)
_comments = click.option("--issue-comments", is_flag=True, help="With what maintainers wrote below it.")


def issue_options(command: _Decorated) -> _Decorated:
    """`--issue` and `--issue-comments`."""
    return _issue(_comments(command))


def asked_of(request: str | None, options: Mapping[str, object]) -> tuple[str, ...]:
    """The words that ask for the same again."""
    if options["issue"] is None:
        return (request or "",)
    return ("--issue", str(options["issue"]), *(["--issue-comments"] if options["issue_comments"] else []))


def read_request(settings: Settings, options: Mapping[str, object]) -> str:
    """Read the issue; see `issue_request`."""
    # Imported here, since most runs have none.
    from multi_agent.application.delivery.issues import issue_request  # noqa: PLC0415

    comments = bool(options["issue_comments"])
    return issue_request(settings, str(options["issue"]), comments=comments)
