"""Prints for people and programs: the one way to stdout and stderr.

What is printed may hold text from outside, so nothing in it reaches a terminal as a control character.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from contracts.base.text import json_text, visible, visible_line

_PATCH_STYLES: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("diff ", {"bold": True}),
    ("+++", {"bold": True}),
    ("---", {"bold": True}),
    ("@@", {"fg": "cyan"}),
    ("+", {"fg": "green"}),
    ("-", {"fg": "red"}),
)
"""How a line is shown by how it begins; the first that fits."""


def print_line(text: str = "", *, err: bool = False) -> None:
    """Print one line; a line end within `text` is shown as an escape, so that no text can forge a line."""
    click.echo(visible_line(text), err=err)


def print_text(text: str, *, err: bool = False) -> None:
    """Print text of several lines."""
    click.echo(visible(text), err=err)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print one JSON document; without an indent on one line."""
    click.echo(json_text(value, indent=indent))


def print_patch(content: bytes) -> None:
    """Print a difference: as it is for programs and files, in colours and made visible on a terminal."""
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    for line in content.decode("utf-8", "replace").splitlines():
        style = next((style for begin, style in _PATCH_STYLES if line.startswith(begin)), {})
        click.echo(click.style(visible(line), **style))


def can_ask() -> bool:
    """Whether a person reads what is printed and can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def confirm(question: str) -> bool:
    """Ask on the terminal; anything but yes is a no. Raises click.Abort at the end of the input."""
    return click.confirm(visible_line(question), default=False)


def close_errors() -> None:
    """Close stderr, so that the interpreter does not complain at exit about output that nobody reads."""
    sys.stderr.close()
