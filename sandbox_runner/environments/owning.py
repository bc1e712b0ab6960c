"""Files beside a tree, which belong to the user that programs run as."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox_runner.engine.payload import UNPRIVILEGED
from sandbox_runner.environments.built import MODULES
from sandbox_runner.environments.places import NODE_MODULES


def give_to_programs(folder: Path) -> None:
    """Make a folder of this process such that programs in a sandbox may write over what is in it.

    An ordinary user's sandboxes run as that user, those of root as another.
    """
    if os.geteuid():
        return
    for here, folders, names in os.walk(folder):
        for name in (".", *folders, *names):
            os.chown(os.path.join(here, name), UNPRIVILEGED, UNPRIVILEGED, follow_symlinks=False)


def link_modules(place: Path) -> None:
    """Make a folder with the link that lies in a tree, for programs that look for modules there alone."""
    (place / MODULES).symlink_to(NODE_MODULES)
    give_to_programs(place)
