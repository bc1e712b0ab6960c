"""Metrics that several processes count together and one serves."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multi_agent.runtime.observing.metrics_server import serve_metrics
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import Metric

_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX: Final = "multi-agent-metrics-"
_OF_A_PROCESS: Final = re.compile(r"_(\d+)\.db")


class SharedMetrics:
    """Make it before prometheus_client is imported and before other processes are forked from this one.

    Counts outlive the process that made them, as long as this object is open.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._folder = tempfile.mkdtemp(prefix=_PREFIX)
        # The library is told in no other way.
        os.environ[_VARIABLE] = self._folder

    def serve(self) -> None:
        """Serve the sums of all processes. Raises NotConfigured."""
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - see above

        registry = CollectorRegistry()
        registry.register(_Sums(self._folder))
        serve_metrics(self._host, self._port, registry)

    def close(self) -> None:
        """Forget everything."""
        os.environ.pop(_VARIABLE, None)
        shutil.rmtree(self._folder, ignore_errors=True)


class _Sums:
    """Collects what all processes counted; what only holds for living ones, of those."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - see above
        from prometheus_client.multiprocess import (  # noqa: PLC0415
            MultiProcessCollector,
            mark_process_dead,
        )

        for path in Path(self._folder).glob("gauge_live*.db"):
            found = _OF_A_PROCESS.search(path.name)
            if found and not _lives(int(found[1])):
                mark_process_dead(int(found[1]), self._folder)  # type: ignore[no-untyped-call]
        unused = CollectorRegistry()
        metrics: Iterable[Metric] = MultiProcessCollector(unused, self._folder).collect()  # type: ignore[no-untyped-call]
        return metrics


def counted_together() -> bool:
    """Whether another process serves what this one counts."""
    return Path(os.environ.get(_VARIABLE, "")).name.startswith(_PREFIX)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def served_metrics(settings: Settings) -> Iterator[None]:
    """Where a port is set, serve what all processes count that are started in the `with` body."""
    if settings.metrics_port is None:
        yield
        return
    metrics = SharedMetrics(settings.metrics_host, settings.metrics_port)
    try:
        metrics.serve()
        yield
    finally:
        metrics.close()
