"""Which files a request is about."""

from __future__ import annotations

import random

import pytest

from artifacts.code_index.kinds import Kind, kind_of
from artifacts.code_index.places import module_name, named_files, subject_of
from artifacts.code_index.query import Query
from artifacts.code_index.ranking import bm25
from artifacts.code_index.words import counted, number, stem, words_of
from tests.artifacts.code_index.sources import order

NOISE = {f"src/part{n}.py": f"def part{n}(value):\n    return value * {n}\n" for n in range(30)}


def test_words_of_the_content_count() -> None:
    files = NOISE | {"src/z.py": "def z():\n    # keeps the rate of invoices\n    return 1\n"}
    assert order(files, "Wrong rate of an invoice")[0] == "src/z.py"


@pytest.mark.parametrize(
    ("path", "text", "request_"),
    [
        ("src/z.py", "def parse_order_date():\n    return 1\n", "Parsing of the order's date fails"),
        ("src/z.py", "class OrderDateParser:\n    x = 1\n", "order date parsers fail"),
        ("src/z.go", "package z\nfunc ParseOrderDate() {}\n", "parseOrderDate() panics"),
        ("src/order_date.py", "x = 1\n", "order date is wrong"),
        ("src/order/date.rb", "x = 1\n", "order date is wrong"),
    ],
)
def test_identifiers_and_paths_are_split(path: str, text: str, request_: str) -> None:
    assert order(NOISE | {path: text}, request_)[0] == path


def test_a_name_as_it_is_written_counts_more_than_its_parts() -> None:
    files = NOISE | {
        "src/a.py": "def load_order():\n    pass\n" * 3 + "def load_file(): pass\ndef file_order(): pass\n",
        "src/z.py": "def load_file_order():\n    pass\n",
    }
    assert order(files, "`load_file_order` is slow")[0] == "src/z.py"


def test_of_names_that_differ_in_case_the_one_that_is_written_counts() -> None:
    files = NOISE | {"src/a.py": "def box(): pass\n", "src/z.py": "class Box: pass\n"}
    assert order(files, "Box is wrong")[:2] == ["src/z.py", "src/a.py"]
    assert order(files, "box is wrong")[:2] == ["src/a.py", "src/z.py"]


@pytest.mark.parametrize(
    "told",
    [
        "look at src/deep/util.py please",
        "it is in ./src/deep/util.py:13",
        'Traceback (most recent call last):\n  File "/home/a/work/src/deep/util.py", line 3\nValueError',
        'File "/usr/lib/python3.11/site-packages/deep/util.py", line 3',
        "    at f (/app/src/deep/util.py:10:3)",
        "panicked at 'x', deep/util.py:3:5",
    ],
)
def test_a_path_that_is_named_comes_first_also_in_stack_traces_of_other_places(told: str) -> None:
    files = NOISE | {
        "src/deep/util.py": "x = 1\n",
        "src/other/util.py": "x = 1\n",
        "src/value.py": "value = value = value = 1\n" * 9,
    }
    assert order(files, f"Wrong value of a part\n{told}")[0] == "src/deep/util.py"


def test_of_files_with_one_name_those_that_end_alike_are_meant() -> None:
    paths = ["a/x/util.py", "b/x/util.py", "b/y/util.py"]
    assert named_files(paths, ["x/util.py"]) == {0: 0.5, 1: 0.5}
    assert named_files(paths, ["/root/b/x/util.py"]) == {1: 1.0}
    assert named_files(paths, ["nothing.py"]) == {}


def test_paths_are_found_and_addresses_are_not() -> None:
    text = "see src/a.py and b.go:3, https://example.org/c/d.py, e/f.test.ts. (/abs/g.c) 1.5 v2.x"
    assert set(Query.of(text).paths) >= {"src/a.py", "b.go", "e/f.test.ts", "/abs/g.c"}
    assert not any("d.py" in path for path in Query.of(text).paths)


def test_references_lead_from_what_is_talked_about_to_what_it_uses() -> None:
    files = NOISE | {
        "src/report.py": "from src.money import as_cents\n"
        "def invoice_total(rows):\n    return as_cents(rows)\n",
        "src/money.py": "def as_cents(rows):\n    return [1]\n",
        "src/clock.py": "def as_hours(rows):\n    return [1]\n",
    }
    found = order(files, "The invoice total is wrong")
    assert found[:2] == ["src/report.py", "src/money.py"]
    assert found.index("src/clock.py") > 1


def test_a_test_leads_to_what_it_is_about() -> None:
    files = NOISE | {
        "tests/test_clock.py": "def test_rounding_of_leap_seconds():\n    pass\n",
        "src/clock.py": "def f():\n    return 1\n",
        "src/blocks.py": "def f():\n    return 1\n",
    }
    found = order(files, "Rounding of leap seconds")
    assert found.index("src/clock.py") < 3
    assert found.index("src/clock.py") < found.index("src/blocks.py")


def test_code_comes_before_tests_and_what_is_beside_it() -> None:
    text = "def rate_of_invoices():\n    return 1\n"
    paths = ["zsrc/a.py", "tests/test_a.py", "examples/a.py", "docs/rate_of_invoices.md"]
    found = order(NOISE | dict.fromkeys(paths, text), "rate of invoices")
    assert found[:3] == ["zsrc/a.py", "examples/a.py", "tests/test_a.py"]


def test_without_a_request_what_is_referred_to_most_comes_first() -> None:
    users = {f"src/user{n}.py": f"from src.core import start\ndef go{n}(): start()\n" for n in range(9)}
    assert order(users | {"src/core.py": "def start(): pass\n"}, "")[0] == "src/core.py"


def test_the_order_does_not_depend_on_the_order_of_the_files() -> None:
    files = list((NOISE | {"b.md": "", "a.py": ""}).items())
    wanted = order(dict(files), "value of a part")
    assert sorted(wanted) == sorted(path for path, _ in files)
    for seed in range(5):
        random.Random(seed).shuffle(files)
        assert order(dict(files), "value of a part") == wanted


def test_an_empty_tree_and_an_empty_request_have_a_map() -> None:
    assert order({}, "x") == order({}, "") == []
    assert order({"a.py": ""}, "the of") == ["a.py"]


def test_bm25_is_the_known_formula() -> None:
    texts = [counted("cat dog cat"), counted("dog"), counted("bird bird bird bird")]
    cat = number("cat")
    lists = [{number(word): times for word, times in text.items()} for text in texts]
    scores = bm25([_Zero(one) for one in lists], [3, 1, 4], {cat: 1.0})
    norm = 1.2 * (0.25 + 0.75 * 3 / (8 / 3))
    assert scores == [pytest.approx(0.9808292530117262 * 2 * 2.2 / (2 + norm)), 0.0, 0.0]


class _Zero(dict[int, int]):
    def __missing__(self, key: int) -> int:
        return 0


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("src/a.py", Kind.CODE),
        ("a.rb", Kind.CODE),
        ("src/contest.py", Kind.CODE),
        ("src/latest/a.go", Kind.CODE),
        ("src/main/java/Tester.java", Kind.CODE),
        ("tests/a.py", Kind.TEST),
        ("src/a_test.go", Kind.TEST),
        ("src/__tests__/a.ts", Kind.TEST),
        ("src/a.spec.ts", Kind.TEST),
        ("src/main/java/BoxTest.java", Kind.TEST),
        ("conftest.py", Kind.TEST),
        ("examples/a.py", Kind.ASIDE),
        ("vendor/x/a.go", Kind.ASIDE),
        ("README.md", Kind.OTHER),
        ("data.json", Kind.OTHER),
        (".py", Kind.OTHER),
    ],
)
def test_a_path_says_what_a_file_is_for(path: str, kind: Kind) -> None:
    assert kind_of(path) is kind


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("tests/test_box_lid.py", "boxlid"),
        ("BoxLidTest.java", "boxlid"),
        ("box-lid.test.ts", "boxlid"),
        ("box_lid_test.go", "boxlid"),
        ("box_lid.c", "boxlid"),
    ],
)
def test_tests_are_named_after_what_they_test(path: str, subject: str) -> None:
    assert subject_of(path) == subject


def test_modules_are_known_by_their_folder_where_a_file_stands_for_it() -> None:
    assert [module_name(path) for path in ("a/Box.py", "a/box/__init__.py", "a/box/index.ts")] == ["box"] * 3


def test_words_are_brought_to_one_form() -> None:
    assert {stem(word) for word in ("caching", "cached", "caches", "cache")} == {"cach"}
    assert {stem(word) for word in ("stopping", "stopped", "stops", "stop")} == {"stop"}
    assert stem("class") == "class"
    assert words_of("HTTPServer_name2") == ("http", "server", "nam", "httpserver_name2")
    assert words_of("x" * 65) == ()
