"""An error that ended one process, told to another, whose user is to read it."""

from __future__ import annotations

from contracts.base.errors import InvalidInput, MultiAgentError, NotConfigured

_MISTAKE = "mistake"


def error_words(error: MultiAgentError) -> tuple[str, str]:
    """Whose fault an error is, and its message."""
    return _MISTAKE if isinstance(error, InvalidInput) else "failure", str(error)


def error_of(words: tuple[str, str]) -> MultiAgentError:
    """The error again, in so far as users see the difference: NotConfigured for a mistake of theirs."""
    kind, message = words
    return NotConfigured(message) if kind == _MISTAKE else MultiAgentError(message)
