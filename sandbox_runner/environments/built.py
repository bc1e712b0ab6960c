"""What is kept of a built environment: its folders, and what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

BUILT: Final = "built-"
"""How the names of entries in the cache begin; the hash follows."""
MODULES_KEPT: Final = "modules-"
"""The same of modules for Node.js, which are used as they were fetched."""
VENV: Final = "venv"
BESIDE: Final = "beside"
MODULES: Final = "node_modules"
_ABOUT: Final = "about.json"


@dataclass(frozen=True, slots=True)
class About:
    """What an environment is."""

    hash: str
    name: str
    packages: Mapping[str, str]
    """File -> sha256 of all that was fetched for it."""
    seconds: float
    mounts: Mapping[str, str] = field(default_factory=dict)
    """Beside its own folders: the interpreter's."""
    python: bool = False
    """Whether there is a virtual environment."""
    has_pytest: bool = False


def write_about(content: Path, about: About) -> None:
    """Write it into the folder of an environment that is being made."""
    (content / _ABOUT).write_text(json.dumps(asdict(about), sort_keys=True), "utf-8")


def read_about(content: Path) -> About | None:
    """Read it; None where it is missing or of another version."""
    try:
        return About(**json.loads((content / _ABOUT).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
