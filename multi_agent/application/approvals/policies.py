"""The user's own rules about approvals: read from a file, joined with a repository's, and added to."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from contracts.base.errors import InvalidInput
from contracts.base.strict_json import shown
from contracts.documents.approval_policy import ApprovalPolicy, combined, frozen
from contracts.documents.repository_settings import RepositorySettings

if TYPE_CHECKING:
    from multi_agent.settings import Settings

_MAX_BYTES: Final = 200_000
_SHOWN: Final = 5


def policy_file(settings: Settings) -> Path:
    """Where the user's rules are."""
    return settings.approvals or settings.data / "approvals.toml"


def policy_for(settings: Settings, repository: RepositorySettings | None) -> ApprovalPolicy | None:
    """The rules for a new workflow: the user's, then the repository's; None without any.

    Raises InvalidInput as `read_policy`, and for a file that the settings name and that is absent.
    """
    users = read_policy(policy_file(settings), must_exist=settings.approvals is not None)
    return combined(users, repository.approvals if repository else None)


def read_policy(file: Path, *, must_exist: bool = False) -> ApprovalPolicy | None:
    """Read rules from a TOML file; None where there is none.

    Raises InvalidInput with one line for each mistake.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        if not must_exist:
            return None
        raise InvalidInput(f"{file}: there is no such file; MULTI_AGENT_APPROVALS names it") from None
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    if len(raw) > _MAX_BYTES:
        raise InvalidInput(f"{file}: has more than {_MAX_BYTES:,} bytes; shorten it")
    return parse_policy(raw, str(file))


def parse_policy(raw: bytes, name: str) -> ApprovalPolicy:
    """Read rules from TOML. Raises InvalidInput with one line for each mistake, of at most five."""
    try:
        found = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{name}: is no TOML: {error}") from None
    try:
        return ApprovalPolicy.model_validate(frozen(found), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)[:_SHOWN]
        lines = (
            f"{name}: {'.'.join(map(str, one['loc']))} is {shown(one['input'])}: {one['msg']}"
            for one in details
        )
        raise InvalidInput("\n".join(lines)) from None
