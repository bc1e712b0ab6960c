"""Why a mutant may live: what it does differently matters to nobody, or nothing at all is different."""

from __future__ import annotations

import tomllib
from pathlib import Path

ARGUMENTS = Path(__file__).with_name("arguments.toml")


def arguments(path: Path = ARGUMENTS) -> dict[str, str]:
    """The reason for each mutant that was argued, by its key, which stays when lines move."""
    rows = tomllib.loads(path.read_text("utf-8")).get("argued", [])
    return {
        f"{row['file']}::{row['function']}::{row['kind']}::{row['source']}": " ".join(row["reason"].split())
        for row in rows
    }
