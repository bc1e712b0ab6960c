"""Writes records beside the event loop: a request waits for nothing, and what cannot be kept is counted."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from contracts.base.secrets.redaction import MARK
from contracts.base.text import encodable
from multi_agent.gateway.keys import SECRET_PATTERN
from multi_agent.gateway.records.record import record_of
from multi_agent.gateway.records.store import LoggedRequest, RequestStore
from multi_agent.gateway.request_line import MOST_BODY, RequestLine

_MOST_WAITING_BYTES: Final = 64_000_000
_BATCH: Final = 256
_BATCH_SECONDS: Final = 0.2
_TRIM_SECONDS: Final = 60.0
_DAY: Final = 86_400.0
_KEY: Final = re.compile(SECRET_PATTERN)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LogRules:
    """How much is kept."""

    days: float
    megabytes: int
    bodies: bool = False
    """Whether requests and answers are kept too."""
    most_waiting: int = 4_096
    """Records that wait to be written."""


class RequestLog:
    """The log of a gateway, used in its event loop, and written in a thread of its own."""

    def __init__(
        self,
        path: Path,
        rules: LogRules,
        redact: Callable[[str], str],
        dropped: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Open the file. Raises NotConfigured.

        dropped: told how many records were not kept; called in any thread.
        """
        self._store = RequestStore(path)
        self._rules = rules
        self._redact = redact
        self._dropped = dropped
        self._waiting: deque[RequestLine] = deque()
        self._bytes = 0
        self._lost = 0
        self._lock = threading.Lock()
        self._wakes = threading.Event()
        self._ends = False
        self._trimmed = float("-inf")
        self._thread = threading.Thread(target=self._run, daemon=True, name="request-log")
        self._thread.start()

    @property
    def keeps_bodies(self) -> bool:
        return self._rules.bodies

    def add(self, line: RequestLine) -> None:
        """Note a request that has ended; where too many wait to be written it is dropped, and counted."""
        with self._lock:
            if (
                len(self._waiting) >= self._rules.most_waiting
                or self._bytes + line.kept_bytes > _MOST_WAITING_BYTES
            ):
                self._lost += 1
            else:
                self._waiting.append(line)
                self._bytes += line.kept_bytes
        self._wakes.set()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._ends = True
        self._wakes.set()
        self._thread.join()
        self._store.close()

    def _run(self) -> None:
        while self._waiting or self._lost or not self._ends:
            self._wakes.wait()
            self._wakes.clear()
            while self._waiting or self._lost:
                self._write()
            if not self._ends:
                time.sleep(_BATCH_SECONDS)

    def _write(self) -> None:
        with self._lock:
            taken = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            lost, self._lost = self._lost, 0
        try:
            self._store.add(map(self._kept, taken))
            self._trim()
        except sqlite3.Error as error:
            lost += len(taken)
            _log.warning("request_log_unwritable", reason=str(error))
        with self._lock:
            self._bytes -= sum(line.kept_bytes for line in taken)
        if lost:
            self._dropped(lost)
            _log.warning("request_log_dropped", records=lost)

    def _trim(self) -> None:
        now = time.monotonic()
        if now - self._trimmed < _TRIM_SECONDS:
            return
        self._trimmed = now
        oldest = time.time() - self._rules.days * _DAY
        self._store.trim(oldest=oldest, most_bytes=self._rules.megabytes * 1_000_000)

    def _kept(self, line: RequestLine) -> LoggedRequest:
        record = record_of(line, self._clean)
        if not self._rules.bodies:
            return LoggedRequest(record)
        return LoggedRequest(record, self._body(line.said), self._body(line.answered))

    def _body(self, body: bytes | bytearray) -> bytes | None:
        """A body without secrets; None for one that is not whole."""
        if not body or len(body) > MOST_BODY:
            return None
        return self._clean(body.decode("utf-8", "replace")).encode("utf-8", "replace")

    def _clean(self, text: str) -> str:
        return encodable(_KEY.sub(MARK, self._redact(text)))
