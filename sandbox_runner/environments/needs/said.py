"""What the settings of a repository say about its environment."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.base.errors import InvalidInput, LimitExceeded
from contracts.base.processes.bounded_call import bounded_call
from contracts.documents.repository_settings import (
    NO_SETTINGS,
    SETTINGS_FILES,
    RepositorySettings,
    read_settings,
)


async def said_settings(files: Mapping[str, bytes]) -> RepositorySettings:
    """The settings of a repository, from those of its files that have some. Raises InvalidInput."""
    said = {path: files[path] for path in SETTINGS_FILES if path in files}
    try:
        found = await bounded_call(sum(map(len, said.values())), read_settings, said)
    except LimitExceeded as error:
        raise InvalidInput(f"{' or '.join(said)} {error}") from None
    return found.settings if found else NO_SETTINGS
