"""Answers repeated requests from a folder that processes and runs share."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError

from contracts.base.errors import NotConfigured
from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from contracts.ports.request_hash import request_hash
from multi_agent.models.layers.cache import asks_anew, is_whole
from multi_agent.models.layers.wrapper import Wrapper

_ANSWER: Final = TypeAdapter(ModelResponse)
_NAME: Final = re.compile(r"[0-9a-f]{64}\.(?:json|\d+-\d+)")
_WRITES_BEFORE_A_LOOK: Final = 16
_LEFT: Final = 0.9
"""The part of its size that a folder is brought to when it is too large."""
_UNFINISHED_SECONDS: Final = 3_600.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CacheRules:
    """What is kept of answers, and for how long."""

    folder: Path
    max_seconds: float
    """How long an answer is of use."""
    max_bytes: int
    """The size of the folder, about; the oldest answers go."""
    without: frozenset[str] = frozenset()
    """Roles that always ask anew."""


class StoredCache(Wrapper):
    """Answers a request that was answered before, by this model asked in this way, at no cost.

    Only whole answers are kept, and, where a schema was given, only valid JSON. A folder that cannot be used
    later is none: the model is asked.
    """

    def __init__(
        self,
        inner: ModelClient,
        rules: CacheRules,
        identity: str,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`identity`: everything that is no part of a request and may change its answer.

        Raises NotConfigured for a folder that cannot be made.
        """
        super().__init__(inner)
        try:
            # Answers are as private as the code that they are about.
            rules.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NotConfigured(
                f"MULTI_AGENT_MODEL_CACHE is {str(rules.folder)!r}: {error.strerror}; set it to a folder of "
                "yours, or unset it"
            ) from None
        self._rules = rules
        self._identity = identity
        self._clock = clock
        self._writes = 0

    async def complete(self, request: ModelRequest) -> ModelResponse:
        if request.purpose.partition(".")[0] in self._rules.without:
            return await self._inner.complete(request)
        path = self._path(request)
        kept = None if asks_anew(request) else await asyncio.to_thread(self._read, path)
        if kept is not None:
            return replace(kept, input_tokens=0, output_tokens=0, cached_input_tokens=0, cost_usd=0.0)
        response = await self._inner.complete(request)
        if is_whole(request, response):
            await asyncio.to_thread(self._keep, path, response)
        return response

    def _path(self, request: ModelRequest) -> Path:
        named = f"{self._identity}\n{request_hash(request)}"
        digest = hashlib.sha256(named.encode()).hexdigest()
        return self._rules.folder / digest[:2] / f"{digest[2:]}.json"

    def _read(self, path: Path) -> ModelResponse | None:
        with suppress(OSError, ValidationError):
            if self._clock() - path.stat().st_mtime < self._rules.max_seconds:
                return _ANSWER.validate_json(path.read_bytes())
        return None

    def _keep(self, path: Path, response: ModelResponse) -> None:
        content = json.dumps(asdict(response)).encode()
        if len(content) > self._rules.max_bytes:
            return
        try:
            self._write(path, content)
            if self._writes % _WRITES_BEFORE_A_LOOK == 0:
                self._prune()
            self._writes += 1
        except OSError as error:
            _log.warning("model_cache_unusable", folder=str(self._rules.folder), reason=error.strerror)

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}")
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(content)
        unfinished.replace(path)

    def _prune(self) -> None:
        """Remove what is too old, and the oldest of the rest as long as it is too much."""
        now, found = self._clock(), []
        for path in filter(_is_ours, self._rules.folder.glob("??/*.*")):
            with suppress(FileNotFoundError):  # others prune too
                status = path.stat()
                old = self._rules.max_seconds if path.suffix == ".json" else _UNFINISHED_SECONDS
                if now - status.st_mtime >= old:
                    path.unlink(missing_ok=True)
                else:
                    found.append((status.st_mtime, status.st_size, path))
        left = sum(size for _, size, _ in found)
        if left <= self._rules.max_bytes:
            return
        for _, size, path in sorted(found):
            if left <= self._rules.max_bytes * _LEFT:
                return
            path.unlink(missing_ok=True)
            left -= size


def _is_ours(path: Path) -> bool:
    """Whether a file is a kept answer, or an unfinished one: the folder may have others of its user's."""
    return _NAME.fullmatch(f"{path.parent.name}{path.name}") is not None
