"""A program's link to the rollout's port: the flag as last heard, and records that wait to be sent."""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

import structlog
from pydantic import TypeAdapter, ValidationError

from contracts.base.errors import NotConfigured
from contracts.messages.rollout import RECORDS, RolloutRecord
from multi_agent.rollout.assignment import OFF, Flag

logger = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.25
"""A rollback is heard of within this and the port's own delay."""
MOST_WAITING: Final = 20_000
"""Records kept while nobody takes them; then the oldest are dropped."""
MOST_TOGETHER: Final = 500
_ANSWER_SECONDS: Final = 3.0
_FIRST_SECONDS: Final = 1.0
_LAST_SECONDS: Final = 2.0
_MOST_ANSWER: Final = 100_000
_GOOD: Final = 200
_WRONG: Final = 400
"""Sent again it would be no better."""
_FLAG: Final = TypeAdapter(Flag)


class RolloutLink:
    """Asks for the flag in one thread and sends records in another; neither is ever waited for.

    With nobody at the other end the flag stays as it was last heard, and is off where nothing was heard yet.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        """Raises NotConfigured for a URL that is none of http or https."""
        try:
            parts = urlsplit(url)
            known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:  # brackets and ports that are none
            known = False
        if not known:
            raise NotConfigured(f"the URL of the rollout is {url!r}; give http://HOST:PORT or https://HOST")
        self._parts = parts
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._flag = OFF
        self._waiting: deque[RolloutRecord] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._pid = 0
        self._silent = False
        self._start()
        atexit.register(self.close)

    def flag(self) -> Flag:
        """See FlagSource."""
        if self._pid != os.getpid():
            self._start(wait=False)  # the parent's flag stands meanwhile
        return self._flag

    def record(self, record: RolloutRecord) -> None:
        """See OutcomeRecorder."""
        self._waiting.append(record)
        self._full.set()

    @property
    def waiting(self) -> int:
        """Records that were not taken yet."""
        return len(self._waiting)

    def close(self) -> None:
        """Send what waits, for two seconds at most, and end the threads. Again is a no-op."""
        if self._stopped.is_set() or self._pid != os.getpid():
            return
        self._stopped.set()
        self._full.set()
        self._sender.join(_LAST_SECONDS)
        self._listener.join(_LAST_SECONDS)
        atexit.unregister(self.close)

    def _start(self, *, wait: bool = True) -> None:
        """Start both threads; a process that was forked has none of its parent's."""
        with self._lock:
            if self._pid == os.getpid():
                return
            if self._pid:
                self._waiting.clear()  # the parent sends them
            self._pid = os.getpid()
            self._stopped, self._full, heard = threading.Event(), threading.Event(), threading.Event()
            self._listener = threading.Thread(
                target=self._listen, args=(heard,), name="rollout-flag", daemon=True
            )
            self._sender = threading.Thread(target=self._send, name="rollout-records", daemon=True)
            self._listener.start()
            self._sender.start()
        if wait:
            heard.wait(_FIRST_SECONDS)

    def _listen(self, heard: threading.Event) -> None:
        caller, stopped = self._caller(), self._stopped
        while not stopped.is_set():
            status, answer = caller.ask("GET", "/flag")
            if status == _GOOD:
                try:
                    self._flag = _FLAG.validate_json(answer)
                except ValidationError:
                    status = 0
            self._say(status)
            heard.set()
            stopped.wait(POLL_SECONDS)
        caller.close()

    def _send(self) -> None:
        caller, stopped, full = self._caller(), self._stopped, self._full
        while True:
            full.wait(POLL_SECONDS)
            full.clear()
            last = stopped.is_set()
            sent = self._send_waiting(caller)
            if last:
                caller.close()
                return
            if not sent:
                stopped.wait(POLL_SECONDS)

    def _send_waiting(self, caller: _Caller) -> bool:
        """Whether all were taken."""
        while batch := list(islice(self._waiting.copy(), MOST_TOGETHER)):
            status, answer = caller.ask("POST", "/records", RECORDS.dump_json(batch, exclude_none=True))
            if status == _WRONG:
                why = answer[:200].decode("utf-8", "replace")
                logger.warning("rollout_records_refused", count=len(batch), why=why)
            elif status != _GOOD:
                return False
            self._taken(batch)
        return True

    def _caller(self) -> _Caller:
        return _Caller(self._parts.scheme, self._parts.netloc, self._parts.path, self._headers)

    def _taken(self, batch: list[RolloutRecord]) -> None:
        for record in batch:
            # Those in front may have been dropped meanwhile.
            if self._waiting and self._waiting[0] is record:
                self._waiting.popleft()

    def _say(self, status: int) -> None:
        if (status != _GOOD) != self._silent:
            self._silent = status != _GOOD
            percent, kept = self._flag.percent, len(self._waiting)
            if self._silent:
                logger.warning("rollout_away", status=status, percent=percent, kept=kept)
            else:
                logger.warning("rollout_reached", status=status, percent=percent, kept=kept)


class _Caller:
    """One connection that is opened again after an error."""

    def __init__(self, scheme: str, netloc: str, path: str, headers: dict[str, str]) -> None:
        kind = HTTPSConnection if scheme == "https" else HTTPConnection
        self._connection = kind(netloc.rpartition("@")[2], timeout=_ANSWER_SECONDS)
        self._path, self._headers = path.rstrip("/"), headers

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body; (0, b"") where nobody answers."""
        try:
            self._connection.request(method, self._path + path, body, self._headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read(_MOST_ANSWER)
        except (OSError, HTTPException):
            self._connection.close()
            return 0, b""
