"""Metrics that several processes count together and one serves."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Final

_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


class SharedMetrics:
    """Make it before prometheus_client is imported and before other processes are forked from this one.

    Counts outlive the process that made them, as long as this object is open.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._folder = tempfile.mkdtemp(prefix="multi-agent-metrics-")
        # The library is told in no other way.
        os.environ[_VARIABLE] = self._folder

    def serve(self) -> None:
        """Serve the sums of all processes on loopback."""
        from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415 - see above
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        registry = CollectorRegistry()
        MultiProcessCollector(registry, self._folder)  # type: ignore[no-untyped-call]
        start_http_server(self._port, addr="127.0.0.1", registry=registry)

    def forget(self, pid: int) -> None:
        """Drop what only holds for a living process."""
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - see above

        mark_process_dead(pid, self._folder)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Forget everything."""
        os.environ.pop(_VARIABLE, None)
        shutil.rmtree(self._folder, ignore_errors=True)
