"""What a conversation keeps of its oldest steps."""

from __future__ import annotations

import json

from agents.loop.conversation import Conversation
from agents.loop.step import ModelStep
from contracts.ports.content import TextBlock, ToolCall


def wrote(number: int) -> ModelStep:
    """A step with a thought in words, a file, a diff, and a call that is no JSON object."""
    content = {"path": f"file{number}.py", "content": "x" * 3_000}
    calls = {"write": json.dumps(content), "patch": json.dumps({"diff": "--- a/m.py" + "y" * 3_000})}
    named = [ToolCall(name, text, f"c{number}", "signed") for name, text in calls.items()]
    return ModelStep((TextBlock("so " * 1_000), *named, ToolCall("edit", '{"old": "' + "z" * 3_000)))


def test_what_the_oldest_steps_wrote_is_left_out_too() -> None:
    conversation = Conversation("work", 60, 150_000)
    changes, before = 0, conversation.messages
    for number in range(60):
        conversation.add(wrote(number), ("written", "applied", "refused"), "")
        assert sum(message.characters for message in conversation.messages) <= 150_000
        changes += conversation.messages[: len(before)] != before
        before = conversation.messages
    assert 0 < changes <= 12
    assert before[-2].blocks == wrote(59).blocks
    text, write, patch, edit = before[1].blocks
    assert isinstance(text, TextBlock)
    assert text.text.endswith("(2700 more characters are left out by now)")
    assert isinstance(write, ToolCall)
    left_out = "x" * 100 + "... (2900 more characters are left out by now)"
    assert write.parsed == {"path": "file0.py", "content": left_out}
    assert (write.call_id, write.kept) == ("c0", "signed")
    assert isinstance(patch, ToolCall)
    assert str(patch.as_object["diff"]).startswith("--- a/m.py")
    assert isinstance(edit, ToolCall)
    assert str(edit.as_object["unreadable"]).startswith('{"old": "zzz')


def test_short_arguments_stay_and_a_long_path_is_whole() -> None:
    short = ToolCall("read", '{"path":  "a.txt"}')
    entries = [{"text": f"entry {number}"} for number in range(100)]
    long = ToolCall("write", json.dumps({"path": "p" * 1_000, "first": 3, "entries": entries}))
    conversation = Conversation("work", 60, 10_000)
    for step_of in (short, long), (ToolCall("run", "{}"),):
        conversation.add(ModelStep(step_of), tuple("x" * 9_000 for _ in step_of), "")
    kept, cut = conversation.messages[1].blocks
    assert kept == short
    assert isinstance(cut, ToolCall)
    assert cut.as_object["path"] == "p" * 1_000
    assert cut.as_object["first"] == 3
    assert str(cut.as_object["entries"]).endswith("left out by now)")


def test_what_a_person_was_asked_and_answered_stays_whole() -> None:
    asked = ToolCall("ask", json.dumps({"question": "Which of them? " + "w" * 300}), "q")
    conversation = Conversation("work", 60, 10_000)
    answer = "The person answers:\n" + "a" * 500
    conversation.add(ModelStep((asked,)), (answer,), "")
    conversation.add(ModelStep((ToolCall("run", "{}"),)), ("x" * 9_500,), "")
    conversation.add(ModelStep((ToolCall("run", "{}"),)), ("x" * 9_500,), "")
    assert conversation.messages[1].blocks == (asked,)
    assert conversation.messages[2].blocks[-1].text == answer  # type: ignore[union-attr]  # a result
