"""Keeps pytest from loading plugins by itself and from printing, as far as tests can tell not at all."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

_NO_PLUGINS = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"


class Quiet:
    """What is told to pytest, until it has loaded what it loads."""

    def __init__(self) -> None:
        self._before = os.environ.get(_NO_PLUGINS)
        os.environ[_NO_PLUGINS] = "1"

    def hide(self, config: Any) -> None:
        """Leave things as tests expect them.

        A pytest that a test starts loads its plugins, and what asks for the terminal gets one that shows
        nothing: pytest 8 does so whenever a comparison fails.
        """
        if self._before is None:
            del os.environ[_NO_PLUGINS]
        else:
            os.environ[_NO_PLUGINS] = self._before
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 # as long as the process
        writer = import_module("_pytest._io").TerminalWriter(nowhere)
        writer.hasmarkup = False
        config.get_terminal_writer = lambda: writer
