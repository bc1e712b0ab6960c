"""Ways to what is mounted in a container through folders of its image that programs may not enter."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

_CLOSED: Final = "/root"
_PLACE: Final = "mount-points"


def open_ways(folder: Path, targets: Iterable[str]) -> Mapping[str, str]:
    """Return what is mounted in place of a closed folder: path inside -> folder of this machine. Blocking.

    folder: where such folders are kept. They hold the empty folders on which others are mounted, as nothing
    can be made in what is read-only. A tmpfs would be given the mode of what it hides.
    """
    behind = sorted(
        target.removeprefix(f"{_CLOSED}/") for target in targets if target.startswith(f"{_CLOSED}/")
    )
    if not behind:
        return {}
    place = folder / _PLACE / hashlib.sha256("\0".join(behind).encode()).hexdigest()[:16]
    for path in behind:
        (place / path).mkdir(mode=0o755, parents=True, exist_ok=True)
    return {_CLOSED: str(place)}
