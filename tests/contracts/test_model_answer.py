from __future__ import annotations

import json
import time

import pytest

from contracts.base.errors import InvalidDocument
from contracts.base.model_answer import MAX_DEPTH, Fits, parse_answer

DOCUMENT = {
    "title": "Grüße 😀",
    "files": [{"path": "a.py", "content": "x = {'a': [1]}\n```\n\"quoted\""}],
    "n": -1.5,
}
TEXT = json.dumps(DOCUMENT)


def refusal(text: str, *, max_bytes: int = 4_000_000, fits: Fits | None = None) -> str:
    with pytest.raises(InvalidDocument) as caught:
        parse_answer(text, max_bytes=max_bytes, fits=fits)
    assert caught.value.document_type == "answer"
    assert [problem.path for problem in caught.value.problems] == ["$"]
    assert caught.value.__cause__ is None
    return caught.value.problems[0].message


@pytest.mark.parametrize(
    "answer",
    [
        TEXT,
        f"\n  {TEXT}\r\n",
        json.dumps(DOCUMENT, indent=2, ensure_ascii=False),
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```",
        f"```json\n{TEXT}",
        f"Here you are:\n\n```json\n{TEXT}\n```\nIt has {{two}} parts [see below], as in [1] and [2, 3].",
        f"Sure: {TEXT} Anything else?",
        f"{TEXT}\n\n{json.dumps(DOCUMENT, indent=1)}",
        f"def f(x): return {{x}}\n{TEXT}",
    ],
)
def test_finds_the_one_document(answer: str) -> None:
    assert parse_answer(answer) == DOCUMENT


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("{}", {}),
        ("[]", []),
        ("[1, 2]", [1, 2]),
        ('x [{"a": 1}, {"a": 2}] y', [{"a": 1}, {"a": 2}]),
        ("[[1]]", [[1]]),
    ],
)
def test_lists_and_empty_documents(answer: str, value: object) -> None:
    assert parse_answer(answer) == value


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "no JSON object or array"),
        ("I cannot do that.", "no JSON object or array"),
        ("{'a': 1}", "double quotes"),
        ("42", "no JSON object or array"),
        ('{"a": 1} or rather {"a": 2}', "2 different JSON documents"),
        ('{"a": 1} or rather {"a": true}', "2 different JSON documents"),
        ('{"a": NaN}', "NaN is no JSON value"),
        ('{"a": [-Infinity]}', "-Infinity is no JSON value"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 6_000 + "}", "6,000 digits, the limit is 4,000"),
        ('{"a": 0.' + "9" * 6_000 + "}", "digits, the limit is 4,000"),
        ('{"a": {"b": 1, "b": 2}}', "'b' appears twice"),
        (r'{"a": "\ud800"}', "lone surrogate"),
        (r'{"\udfff": 1}', "lone surrogate"),
        ('{"a": "\ud800"}', "lone surrogate"),
        ('{"a": {"b": 1}, "c": ', "not closed"),
        ('{"a": "it ends in the middle', "not closed"),
        ('{"a": {"b": 1}, oops}', "broken JSON at line 1, column 17"),
        ('text\n{"a": 1,,}', "broken JSON at line 2"),
        ('{"a": [1 2]}', "broken JSON"),
        ('{"a": "he said "True", and went", }', "broken JSON"),
        ('{"a": None, "a": 1}', "broken JSON"),
        ('{"a": True', "not closed"),
        ('{"a": 1 /* one */}', "broken JSON"),
    ],
)
def test_refuses_with_a_sentence_for_the_model(answer: str, said: str) -> None:
    assert said in refusal(answer)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ('It is 5" wide: {"a": True, "b": [False, None,]} as you see', {"a": True, "b": [False, None]}),
        ('{"a": 1, // the first, of many\n "b": "http://x, ]" // it\n}', {"a": 1, "b": "http://x, ]"}),
        ('{"a": "None,]", "b": ["True,}", None]}', {"a": "None,]", "b": ["True,}", None]}),
    ],
)
def test_what_can_mean_one_thing_alone_is_mended(answer: str, value: object) -> None:
    assert parse_answer(answer) == value


PLACEHOLDER = '{"title": "..."}'


@pytest.mark.parametrize(
    "before",
    [
        f"<think>The shape is {PLACEHOLDER}.</think>",
        f"The shape is {PLACEHOLDER}.\n</think>\n",
        f'<think>It begins with {{"title": and has [[1, 2] in it</think>{PLACEHOLDER}</thinking>',
        f'<think>say "{PLACEHOLDER}</think>',
        f"[THINK]{PLACEHOLDER}[/THINK]",
        f"<seed:think>{PLACEHOLDER}</seed:think>",
        f"<|channel>thought\n{PLACEHOLDER}<channel|>",
        f"<|channel|>analysis<|message|>{PLACEHOLDER}<|end|><|start|>assistant<|channel|>final<|message|>",
        f"<|channel|>analysis<|message|>{PLACEHOLDER}<|end|>\n<|start|>assistant<|channel|>final "
        "<|constrain|>json<|message|>",
        f"<|channel|>analysis<|message|>{PLACEHOLDER}<|end|>",
    ],
)
def test_thoughts_are_no_answer(before: str) -> None:
    for after in ("", "<|return|>", "<|end|>", "\nDone."):
        assert parse_answer(before + TEXT + after) == DOCUMENT
    assert refusal(before + "I cannot do that.")


def test_an_end_of_thoughts_within_the_document_is_text() -> None:
    document = {"code": "re.split('</think>', x) or {} or [1]", "then": "<channel|>"}
    assert parse_answer(json.dumps(document)) == document
    assert parse_answer(f"<think>{PLACEHOLDER}</think>" + json.dumps(document)) == document
    assert "not closed" in refusal(json.dumps(document)[:-1])


def is_whole(found: object) -> bool:
    return isinstance(found, dict) and set(found) == set(DOCUMENT)


@pytest.mark.parametrize(
    "text",
    [
        f"I answer in the form {PLACEHOLDER}:\n{TEXT}",
        f'print({{"a": x, "b": [y]}})\n{TEXT}',
        f'printf("{{"); puts(x);\n{TEXT}',
        f'printf("{{"); puts("[");\n{TEXT}\nThat is {{"a": x}}.',
        f'{{"a": 1, "a": NaN}}\n{TEXT}',
        f'{{"a": 1,}}\n{TEXT}\n{{"b": 2}}',
        f"{TEXT}\n{PLACEHOLDER}",
    ],
)
def test_the_only_one_that_fits(text: str) -> None:
    assert parse_answer(text, fits=is_whole) == DOCUMENT


def test_several_or_none_that_fit() -> None:
    other = json.dumps(DOCUMENT | {"n": 1})
    assert "2 different JSON documents" in refusal(f"{TEXT} or {other}", fits=is_whole)
    assert "2 different JSON documents" in refusal('{"a": 1} or {"a": 2}', fits=is_whole)
    assert "broken JSON" in refusal('{"a": {"b": 1}, oops}', fits=is_whole)
    assert parse_answer('{"a": 1}', fits=is_whole) == {"a": 1}


def test_what_was_cut_off_is_not_replaced_by_an_example() -> None:
    assert "not closed" in refusal(f"As in {TEXT}:\n{TEXT[:-9]}", fits=is_whole)
    assert "not closed" in refusal('{"files": [{"content": "const x = {}; const y = [1];')
    assert "broken JSON" in refusal('{"a": [{"b": 1} {"c": 2}], "d": {"e": 3}}')


def test_control_characters_in_strings() -> None:
    assert parse_answer('{"a": "raw\nline\tand\x01"}') == {"a": "raw\nline\tand\x01"}


def test_size_is_counted_in_bytes() -> None:
    assert parse_answer('{"a": "é"}', max_bytes=11) == {"a": "é"}
    assert "11 bytes, the limit is 10" in refusal('{"a": "é"}', max_bytes=10)
    assert "characters" in refusal('{"a": "' + "x" * 50_000_000 + '"}')


def test_depth() -> None:
    deepest = '{"a":' * (MAX_DEPTH - 1) + "[]" + "}" * (MAX_DEPTH - 1)
    assert parse_answer(deepest)
    assert "levels deep" in refusal("[" + deepest + "]")
    assert "levels deep" in refusal("[" * 100_000 + "]" * 100_000)
    assert "levels deep" in refusal('{"a":' * 100_000)


@pytest.mark.parametrize(
    "unit",
    [
        "{}",
        "[1]",
        '["',
        '\\"',
        '{"',
        "[1 x]",
        '"{',
        '["a" x]',
        "{ ",
        "[ ",
        '{"\\"',
        '[1 "',
        "`",
        '{"a":1}{"b":',
        "[1,",
        '["a",//\n',
        "[None,]",
    ],
)
def test_hostile_text_costs_linear_time(unit: str) -> None:
    """Quadratic work on this much text takes minutes; the bound is two orders of magnitude above the need."""
    began = time.process_time()
    for prefix in ("", '{"a": "', "[1 "):
        refusal(prefix + unit * (2_000_000 // len(unit)))
    assert time.process_time() - began < 20


def test_many_keys_with_one_twice() -> None:
    keys = ",".join(f'"k{number}":0' for number in range(100_000))
    assert "'k99999' appears twice" in refusal("{" + keys + ',"k99999":1}')
