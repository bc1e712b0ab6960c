"""What a dispatch has spent, kept in the artifact store, so that all its executions count together.

Executions append to one numbered log for each dispatch; a number is given once, so that of two that append at
once one reads what the other has written and tries again. An execution that was killed leaves what it had
set aside, and whoever comes next counts it in full, or by the answer where that was stored. A dispatch whose
log is closed spends no more: its outcome is under way.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import structlog
from pydantic import ValidationError

from contracts.base.errors import ArtifactError, MultiAgentError, Unavailable
from contracts.base.model import Model
from contracts.messages.budget import NOTHING, Amount, Grant, Spent
from contracts.messages.suspension import Suspended, Suspension
from contracts.ports.exchanges import ExchangeStore

_log = structlog.get_logger(__name__)

_MOST_EARLIER: Final = 20
"""Earlier dispatches that one execution looks at; the next looks at others."""


_CLOSE_SECONDS: Final = 5.0
_BEHIND_DEADLINE: Final = 1.9
"""Less than what an execution has before its process is ended."""


class LedgerEntry(Model):
    """A line of the log."""

    execution_id: str
    request_hash: str = ""
    """Of the request that is tried, "" for none."""
    bound: Amount = NOTHING
    """What is set aside for it."""
    settled: Mapping[int, Amount] = {}
    """What earlier tries did cost, by number."""
    closed: bool = False


class Try(NamedTuple):
    """A request that was sent, as far as it is known."""

    request_hash: str
    bound: Amount
    used: Amount | None
    """None where nobody came to say it."""


def costs(logs: Sequence[Sequence[Try]], answers: Mapping[str, Amount]) -> list[Amount]:
    """What the tries of each log have cost, the newest log first.

    answers: what stored answers have cost, by request. Each settles the last try of its request, unless that
    was settled: a try of which nothing is known has cost all that was set aside.
    """
    open_ = dict(answers)
    for one in (one for tries in logs for one in tries):
        if one.used is not None and one.used == open_.get(one.request_hash):
            del open_[one.request_hash]
    found = []
    for tries in logs:
        sum_ = NOTHING
        for one in tries:
            used = one.used
            sum_ = sum_.plus(open_.pop(one.request_hash, one.bound) if used is None else used)
        found.append(sum_)
    return found


class DispatchLog:
    """The log of one dispatch. Every method raises StoreUnavailable and ArtifactError."""

    def __init__(self, store: ExchangeStore, workflow_id: str, task_id: str, dispatch_id: str) -> None:
        self._store, self._place = store, (workflow_id, task_id)
        self._dispatch_id = dispatch_id
        self._entries: list[LedgerEntry] = []

    @property
    def closed(self) -> bool:
        return any(entry.closed for entry in self._entries)

    async def read(self) -> None:
        """Read what others have appended."""
        while (stored := await self._store.load_exchange(*self._place, self._key)) is not None:
            try:
                self._entries.append(LedgerEntry.model_validate_json(stored))
            except ValidationError:
                raise ArtifactError(f"{self._key}: cannot be read; is it of a later release?") from None

    async def append(self, entry: LedgerEntry) -> int | None:
        """Append; the number of the entry, or None when another one was first, which is read then."""
        number = len(self._entries)
        if await self._store.create_exchange(*self._place, self._key, entry.model_dump_json().encode()):
            self._entries.append(entry)
            return number
        await self.read()
        return None

    def tries(self, settled: Mapping[int, Amount]) -> Iterator[Try]:
        """The tries, the last one first. settled: what is known and not written yet."""
        known = {number: used for entry in self._entries for number, used in entry.settled.items()}
        known |= settled
        for number, entry in reversed(list(enumerate(self._entries))):
            yield Try(entry.request_hash, entry.bound, known.get(number))

    @property
    def _key(self) -> str:
        return f"spent:{self._dispatch_id}:{len(self._entries)}"


class Ledger:
    """The purse of one execution."""

    def __init__(
        self, store: ExchangeStore, place: tuple[str, str], grant: Grant, dispatch_id: str, execution_id: str
    ) -> None:
        """place: (workflow id, task id)."""
        self._store, self._place, self._grant = store, place, grant
        self._execution_id = execution_id
        self._log = DispatchLog(store, *place, dispatch_id)
        self._settled: dict[int, Amount] = {}
        self._answers: dict[str, Amount] = {}
        self._turn, self._is_read = asyncio.Lock(), False

    @property
    def counts_money(self) -> bool:
        return self._grant.allowance.micro_usd is not None

    async def reserve(self, request_hash: str, bound: Amount) -> int:
        async with self._turn:
            await self._read()
            while not self._log.closed:
                [spent] = costs([list(self._log.tries(self._settled))], self._answers)
                if not self._grant.allowance.bears(spent.plus(bound)):
                    raise Suspended(Suspension(budget=bound))
                told = dict(self._settled)
                entry = self._entry(request_hash=request_hash, bound=bound, settled=told)
                if (number := await self._log.append(entry)) is not None:
                    for name in told:
                        del self._settled[name]
                    return number
        # Asking for more would be refused where it had enough, and use up a retry.
        raise Unavailable("another execution of this dispatch has ended; nothing more can be spent for it")

    def settle(self, number: int, used: Amount) -> None:
        self._settled[number] = used

    def read_back(self, request_hash: str, used: Amount) -> None:
        self._answers[request_hash] = used

    async def close(self, deadline: float = math.inf) -> Spent | None:
        """What was spent, after which nothing more can be; None where that cannot be found out now.

        Of earlier dispatches as many as can be found out now. deadline: that of the execution, by the clock
        of the event loop.
        """
        until = min(asyncio.get_running_loop().time() + _CLOSE_SECONDS, deadline + _BEHIND_DEADLINE)
        names, tries = self._grant.earlier[-_MOST_EARLIER:][::-1], list[list[Try]]()
        try:
            async with asyncio.timeout_at(until), self._turn:
                await self._read()
                tries.append(await self._closed(self._log, self._settled))
                for name in names:
                    log = DispatchLog(self._store, *self._place, name)
                    await log.read()
                    tries.append(await self._closed(log, {}))
        except (MultiAgentError, TimeoutError) as error:
            reason = f"{type(error).__name__}: {error}"
            _log.warning("spending_unknown", task_id=self._place[1], logs=len(tries), reason=reason)
        if not tries:
            return None
        # An answer settles one try. Whether that is in a log that was not read is not known.
        total, *earlier = costs(tries, self._answers if len(tries) > len(names) else {})
        return Spent(total=total, earlier=dict(zip(names, earlier, strict=False)))

    async def _closed(self, log: DispatchLog, settled: Mapping[int, Amount]) -> list[Try]:
        while not log.closed:
            await log.append(self._entry(settled=dict(settled), closed=True))
        return list(log.tries(settled))

    async def _read(self) -> None:
        if not self._is_read:
            await self._log.read()
            self._is_read = True

    def _entry(self, **fields: object) -> LedgerEntry:
        return LedgerEntry.model_validate({"execution_id": self._execution_id, **fields})
