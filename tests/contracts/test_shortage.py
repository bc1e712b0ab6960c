"""Short of descriptors, processes, threads or memory: recognised wherever in the chain it stands."""

from __future__ import annotations

import errno

import pytest

from contracts.base.errors import StoreUnavailable
from contracts.base.processes.shortage import shortage_as, shortage_of


def chained(inner: BaseException, *, hidden: bool) -> BaseException:
    try:
        try:
            raise inner
        except BaseException as error:
            raise ValueError("outer") from (None if hidden else error)
    except ValueError as error:
        return error


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM])
@pytest.mark.parametrize("hidden", [True, False])
def test_these_errors_are_shortages(number: int, *, hidden: bool) -> None:
    error = OSError(number, "short")
    for found in (shortage_of(error), shortage_of(chained(error, hidden=hidden))):
        assert found is not None
        assert (found.errno, found.strerror) == (number, "short")


def test_no_thread_is_a_shortage() -> None:
    found = shortage_of(chained(RuntimeError("can't start new thread"), hidden=True))
    assert found is not None
    assert found.errno == errno.EAGAIN


@pytest.mark.parametrize(
    "error", [None, OSError(errno.ENOENT, "none"), OSError("no number"), RuntimeError("other"), ValueError()]
)
def test_others_are_not(error: BaseException | None) -> None:
    assert shortage_of(error) is None


def test_an_adapter_turns_a_shortage_into_its_own_outage_and_nothing_else() -> None:
    with (
        pytest.raises(StoreUnavailable, match="short of resources: no room") as caught,
        shortage_as(StoreUnavailable),
    ):
        raise OSError(errno.EMFILE, "no room")
    assert shortage_of(caught.value) is not None
    with pytest.raises(FileNotFoundError), shortage_as(StoreUnavailable):
        raise FileNotFoundError(errno.ENOENT, "none")
