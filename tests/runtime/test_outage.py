"""An outage is told once when it begins, and once when it ends."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

from contracts.runtime.outage import Outage, logged_outage


def test_an_outage_is_told_twice_however_often_it_is_noticed() -> None:
    began: list[str] = []
    ended: list[float] = []
    outage = Outage(began.append, ended.append)
    outage.back()
    for reason in ("refused", "reset", "refused"):
        outage.away(reason)
    outage.back()
    outage.back()
    assert began == ["refused"]
    assert len(ended) == 1
    outage.away("again")
    assert began == ["refused", "again"]


def test_a_log_has_one_line_for_each_end_of_it() -> None:
    structlog.reset_defaults()  # a command that ran in this process keeps quieter logs
    outage = logged_outage()
    with capture_logs() as lines:
        outage.away("refused")
        outage.away("refused")
        outage.back()
    assert [line["event"] for line in lines] == ["waiting_for_bus", "bus_is_back"]
