"""When a reply is sent again, and when it is dropped; on times that the test gives."""

from __future__ import annotations

from contracts.ports.bus import Delivery, Outgoing
from contracts.runtime.resend import Reply, ResendPolicy, UnconfirmedReplies

POLICY = ResendPolicy(first_seconds=1, most_seconds=8, keep_seconds=60, max_bytes=64_000_000)


def reply(key: str = "r", size: int = 10, *, once: bool = False, owed: tuple[Delivery, ...] = ()) -> Reply:
    return Reply(key, f"execution of {key}", Outgoing("results", b"x" * size), list(owed), once=once)


def send_due(replies: UnconfirmedReplies, now: float) -> list[str]:
    """Send what is due; the keys of it."""
    replies.expire(now)
    due = replies.pop_due(now)
    for each in due:
        replies.sent(each, now)
    return [each.key for each in due]


def test_a_reply_is_sent_ever_more_rarely_and_dropped_after_its_time() -> None:
    replies = UnconfirmedReplies(POLICY)
    replies.add(reply(), 0)
    assert [now for now in range(60) if send_due(replies, now)] == [0, 1, 3, 7, 15, 23, 31, 39, 47, 55]
    assert send_due(replies, 60) == []
    assert list(replies) == []


def test_a_confirmed_reply_is_sent_no_more() -> None:
    replies = UnconfirmedReplies(POLICY)
    replies.add(reply(), 0)
    send_due(replies, 0)
    replies.discard("r")
    assert send_due(replies, 50) == []
    assert not replies.repeat("r", Delivery("s", "1-0", b""))


def test_a_repeated_reply_is_due_at_once_and_later_as_it_would_have_been() -> None:
    replies = UnconfirmedReplies(POLICY)
    replies.add(reply(), 0)
    send_due(replies, 0)
    duplicate = Delivery("s", "2-0", b"")
    assert replies.repeat("r", duplicate)
    [due] = replies.pop_due(0.5)
    assert due.owed == [duplicate]
    replies.sent(due, 0.5)
    assert replies.next_due == 1
    assert send_due(replies, 1) == [], "the later sending counts"
    assert send_due(replies, 2.5) == ["r"]


def test_replies_that_nobody_takes_have_a_limit_in_bytes() -> None:  # I9
    replies = UnconfirmedReplies(POLICY)
    for number in range(20):
        replies.add(reply(f"r{number}", 8_000_000), 0)
    assert [each.key for each in replies] == [f"r{number}" for number in range(12, 20)]


def test_what_nobody_will_confirm_is_sent_once() -> None:
    replies = UnconfirmedReplies(POLICY)
    replies.add(reply(once=True), 0)
    replies.put_back(replies.pop_due(0))
    assert send_due(replies, 1) == ["r"]
    assert send_due(replies, 50) == []


def test_what_a_confirmed_reply_still_owes_is_given_back() -> None:
    first, second = Delivery("s", "1-0", b""), Delivery("s", "2-0", b"")
    replies = UnconfirmedReplies(POLICY)
    replies.add(reply(owed=(first, second)), 0)
    [due] = replies.pop_due(0)
    due.owed.remove(first)
    replies.sent(due, 0)
    assert replies.discard("r") == [second]


def test_what_a_dropped_reply_owes_is_given_back() -> None:
    aged, pushed_out = Delivery("s", "1-0", b""), Delivery("s", "2-0", b"")
    replies = UnconfirmedReplies(POLICY)
    assert replies.add(reply("r1", 40_000_000, owed=(pushed_out,)), 0) == []
    assert replies.add(reply("r2", 40_000_000, owed=(aged,)), 0) == [pushed_out]
    assert replies.expire(59) == []
    assert replies.expire(60) == [aged]
