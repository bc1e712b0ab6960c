"""The pure parts of asking a sandbox host: what is waited for, and what a bundle holds."""

from __future__ import annotations

import base64
import zlib

import pytest

from contracts.base.errors import DecodeError
from contracts.messages.sandbox import MAX_BUNDLE_BYTES, SandboxHost
from sandbox_runner.service.call_policy import CallTimeouts, KnownHosts, Step, WaitingRequest
from sandbox_runner.service.packed_files import pack, unpack

PATIENCE = CallTimeouts(lease=6, answer=15, queue=100)


def host(*held: str, running: int = 0, handed_back: tuple[str, ...] = ()) -> SandboxHost:
    return SandboxHost(
        host_id="h",
        machine="m",
        backend="docker",
        isolation="container",
        slots=2,
        running=running,
        held=held,
        handed_back=handed_back,
    )


def published(now: float) -> WaitingRequest:
    waiting = WaitingRequest("r", since=0, deadline=100)
    waiting.was_published(now)
    return waiting


def test_a_new_request_goes_out_and_is_waited_for() -> None:
    waiting = WaitingRequest("r", since=0, deadline=100)
    assert waiting.step([], PATIENCE, 1) is Step.PUBLISH
    waiting.was_published(1)
    assert waiting.step([host()], PATIENCE, 2) is Step.WAIT


def test_a_result_is_believed_of_who_has_the_request() -> None:
    known = KnownHosts(lease=6)
    assert not known.believes("h", "r", 0)
    known.handle_heartbeat(host(), 0)
    known.handle_heartbeat(host().model_copy(update={"host_id": "other"}), 0)
    assert known.believes("h", "r", 1)
    assert known.believes("other", "r", 1), "it may have been quick"
    known.handle_heartbeat(host("r"), 2)
    assert known.believes("h", "r", 3)
    assert not known.believes("other", "r", 3)
    assert known.believes("h", "another", 3)
    known.handle_heartbeat(host().model_copy(update={"host_id": "other"}), 8)
    assert known.believes("other", "r", 8.1), "who had it is silent"


def test_nobody_is_waited_for_without_end() -> None:
    assert published(0).step([], PATIENCE, 15) is Step.WAIT
    assert published(0).step([], PATIENCE, 15.1) is Step.NOBODY


def test_what_a_living_host_holds_is_not_asked_for_again() -> None:
    waiting = published(0)
    for now in range(1, 50):
        waiting.note(host("r", running=1), now)
        assert waiting.step([host("r", running=1)], PATIENCE, now) is Step.WAIT


def test_what_nobody_holds_for_a_lease_is_asked_for_again() -> None:
    waiting = published(0)
    waiting.note(host("r"), 10)
    assert waiting.step([host()], PATIENCE, 16) is Step.WAIT
    assert waiting.step([host()], PATIENCE, 16.1) is Step.PUBLISH


def test_a_request_in_the_queue_of_busy_hosts_is_not_asked_for_again() -> None:
    assert published(0).step([host(running=2)], PATIENCE, 50) is Step.WAIT
    assert published(0).step([host(running=2)], PATIENCE, 100) is Step.TOO_LATE


def test_what_was_given_back_is_asked_for_at_once_and_once() -> None:
    waiting = published(0)
    waiting.note(host(handed_back=("r",)), 1)
    assert waiting.step([host()], PATIENCE, 1) is Step.PUBLISH
    waiting.was_published(1)
    assert waiting.step([host()], PATIENCE, 2) is Step.WAIT


def test_a_silent_host_is_dead_after_the_lease() -> None:
    known = KnownHosts(lease=6)
    known.handle_heartbeat(host(), 1)
    assert known.alive(7)
    assert not known.alive(7.1)


def test_a_bundle_gives_back_what_was_packed() -> None:
    contents = [b"", bytes(range(256)), b"x" * 100_000, b""]
    assert unpack(pack(contents), [len(content) for content in contents]) == contents
    assert unpack(pack([]), []) == []


@pytest.mark.parametrize(
    ("bundle", "sizes"),
    [
        (pack([b"abc"]), [2]),
        (pack([b"abc"]), [4]),
        (pack([b"abc"])[:-4], [3]),
        ("%%%", [3]),
        (base64.b64encode(b"no zlib").decode(), [3]),
        (base64.b64encode(zlib.compress(b"abc") + b"more").decode(), [3]),
        (pack([b"abc"]), [MAX_BUNDLE_BYTES, 1]),
        (pack([bytes(50_000_000)]), [3]),
    ],
)
def test_a_bundle_that_is_not_what_it_says_is_refused(bundle: str, sizes: list[int]) -> None:
    with pytest.raises(DecodeError):
        unpack(bundle, sizes)
