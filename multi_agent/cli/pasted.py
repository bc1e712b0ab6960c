"""How this program was called, so that `command_line` prints commands that can be pasted."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

from contracts.base.processes.command_lines import Called, note_call
from multi_agent.settings import Settings

_NAME: Final = "multi-agent"


def note_caller(settings: Settings) -> None:
    """From now on, commands are printed for the caller of this process and its data folder."""
    default = Settings.model_fields["data_dir"].default
    elsewhere = settings.data_dir != default
    place = ("--data-dir", str(settings.data_dir)) if elsewhere else ()
    note_call(Called(_program(sys.argv[0], settings.search_path), place))


def _program(called_as: str, search_path: str) -> tuple[str, ...]:
    """The shortest name that a shell with this PATH knows the program by."""
    script = Path(called_as)
    if script.name != _NAME or not script.is_file():
        # Called with `python -m`; pip puts the script beside the interpreter.
        script = Path(sys.executable).with_name(_NAME)
    if not script.is_file():
        return (sys.executable, "-m", "multi_agent.cli")
    found = shutil.which(_NAME, path=search_path)
    if found is not None and Path(found).samefile(script):
        return (_NAME,)
    return (_beside_us(script),)


def _beside_us(script: Path) -> str:
    try:
        return str(script.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(script.absolute())
