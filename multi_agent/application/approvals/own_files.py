"""Files of the user that no repository may bring along: their rules about approvals, and the data folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.base.errors import InvalidInput
from multi_agent.application.approvals.policies import policy_file

if TYPE_CHECKING:
    from multi_agent.settings import Settings


def check_own_files(settings: Settings, top: Path, paths: Iterable[str], what: str) -> None:
    """Raise InvalidInput where a path of the repository at `top` is one of those files, or leads to one.

    what: begins the sentence, as who tracks or changes the path.
    """
    own = {name.casefold() for name in _own_names(settings, top)}
    for path in paths if own else ():
        folded = path.casefold()
        if any(f"{folded}/".startswith(f"{one}/") or one.startswith(f"{folded}/") for one in own):
            raise InvalidInput(
                f"{what} {path!r}, which would become your rules or your data; take it out of Git and look "
                "at it, or keep yours elsewhere (--data-dir, MULTI_AGENT_APPROVALS)"
            )


def _own_names(settings: Settings, top: Path) -> Iterator[str]:
    """Where in the repository the files are, as they are named and behind links."""
    for own in (settings.data, policy_file(settings)):
        for place in {os.path.abspath(own), os.path.realpath(own)}:
            for root in {os.path.abspath(top), os.path.realpath(top)}:
                if place.startswith(os.path.join(root, "")):
                    yield os.path.relpath(place, root)
