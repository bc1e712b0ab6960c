"""The tool finds what it should, and tells what a test notices: in a small package, and on a line of ours."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutation.arguments import ARGUMENTS, arguments
from tests.mutation.attempt import Result, Simulated, Verdict, attempt
from tests.mutation.coverage_map import CoverageMap, Timed, measure
from tests.mutation.finding import find, mutants_of, sample
from tests.mutation.ledger import Ledger
from tests.mutation.mutant import Kind, Mutant
from tests.mutation.table import page, summary
from tests.mutation.trees import copied
from tests.mutation.trial import Trials
from tests.project.documented import ROOT

SECONDS = 60.0

SMALL = """
class Till:
    def __init__(self):
        self.sum = 0
        self.seen = []

    def pay(self, amount):
        if amount <= 0:
            return False
        self.book(amount)
        self.note(f"{amount} of {self.sum}")
        return True

    def book(self, amount):
        self.sum += amount

    def note(self, text):
        self.seen.append(text)


def halves(number):
    steps = 0
    while True:
        if number < 2:
            return steps
        number //= 2
        steps += 1


def shown(till, aloud):
    return "nothing" if aloud and not till.seen else till.seen


def never_called(text):
    if text:
        print(text)
"""

CHECKS = """
from small.till import Till, halves, shown

def test_a_payment_is_booked():
    till = Till()
    assert till.pay(3)
    assert till.sum == 3

def test_a_note_has_the_sum():
    till = Till()
    till.pay(4)
    assert till.seen == ["4 of 4"]

def test_halves():
    assert halves(5) == 2

def test_shown():
    assert shown(Till(), True) == "nothing"
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with tests and the map of them."""
    root = tmp_path_factory.mktemp("small")
    files = {"small/__init__.py": "", "small/till.py": SMALL, "checks/test_till.py": CHECKS, "pytest.ini": ""}
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / "pytest.ini").write_text("[pytest]\n")
    (root / ".gitignore").write_text("map/\n__pycache__/\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    measure(root, root / "map", ["checks"], ["small"], jobs=0)
    return root


@pytest.fixture(scope="module")
def trials(small: Path) -> Iterator[Trials]:
    with copied(small) as tree:
        yield Trials(tree, slack_seconds=1.0)


def named(root: Path, kind: Kind, source: str) -> Mutant:
    [found] = [one for one in find(root, ["small"]) if one.kind is kind and one.source == source]
    return found


def fate(small: Path, trials: Trials, kind: Kind, source: str) -> tuple[Verdict, str, str]:
    mutant = named(small, kind, source)
    reaching = CoverageMap(small / "map").reaching(small, mutant.file, mutant.reached)
    result = attempt(trials, mutant, reaching, SECONDS)
    assert (trials.tree.root / mutant.file).read_text() == SMALL, "the copy is as before"
    return result.verdict, result.by.partition("::")[2], result.how


def test_it_finds_guards_and_neighbouring_effects(small: Path) -> None:
    found = [(one.function, one.kind.value, one.source) for one in find(small, ["small"])]
    book, note = "self.book(amount)", 'self.note(f"{amount} of {self.sum}")'
    guarded = [
        ("Till.pay", "amount <= 0"),
        ("halves", "number < 2"),
        ("shown", "aloud and not till.seen"),
        ("never_called", "text"),
    ]
    assert sorted(found) == sorted(
        [(function, kind, test) for function, test in guarded for kind in ("always", "never")]
        + [
            ("Till.pay", "swapped", f"{book}; {note}"),
            ("Till.pay", "dropped", book),
            ("Till.pay", "dropped", note),
        ]
    )


def test_a_log_line_does_not_part_effects_and_constructors_have_none(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "class One:\n"
        "    def __init__(self):\n        self.a()\n        self.b()\n"
        "    async def two(self):\n"
        "        x = await self.a()\n        logger.info(x)\n        self.y = x\n        await self.b()\n"
    )
    found = [(one.kind.value, one.source) for one in mutants_of(tmp_path, "one.py")]
    assert found == [
        ("swapped", "self.y = x; await self.b()"),
        ("dropped", "self.y = x"),
        ("dropped", "await self.b()"),
    ], "nothing is used before it is there"


def test_the_condition_is_still_evaluated(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_bytes("def f(ä):\n    if b := ä():\n        return b\n".encode())
    always, never = mutants_of(tmp_path, "one.py")
    text = (tmp_path / "one.py").read_bytes()
    assert always.applied(text).decode() == "def f(ä):\n    if ((b := ä()) or True):\n        return b\n"
    assert never.applied(text).decode() == "def f(ä):\n    if ((b := ä()) and False):\n        return b\n"
    assert [set(one.reached) for one in (always, never)] == [{2}, {3}], (
        "only what entered the block misses it"
    )


def test_what_a_test_notices_is_killed(small: Path, trials: Trials) -> None:
    swapped = 'self.book(amount); self.note(f"{amount} of {self.sum}")'
    killed = (Verdict.KILLED, "test_a_note_has_the_sum", "failed")
    assert fate(small, trials, Kind.SWAPPED, swapped) == killed


def test_what_keeps_a_test_from_its_end_is_killed(small: Path, trials: Trials) -> None:
    assert fate(small, trials, Kind.NEVER, "number < 2") == (Verdict.KILLED, "test_halves", "hung")


def test_a_mutant_lives_that_no_test_notices_or_reaches(small: Path, trials: Trials) -> None:
    assert fate(small, trials, Kind.ALWAYS, "aloud and not till.seen")[0] is Verdict.SURVIVED
    assert fate(small, trials, Kind.NEVER, "amount <= 0")[0] is Verdict.UNREACHED
    assert fate(small, trials, Kind.ALWAYS, "text")[0] is Verdict.UNREACHED


def test_a_test_that_fails_anyhow_is_no_evidence(small: Path, trials: Trials) -> None:
    mutant = named(small, Kind.ALWAYS, "amount <= 0")
    reaching = [Timed("checks/test_till.py::test_a_payment_is_booked", 0.0)]
    trials.unsound.add(reaching[0].name)
    assert attempt(trials, mutant, reaching, SECONDS).verdict is Verdict.UNREACHED
    trials.unsound.clear()


def test_lines_are_found_again_when_the_source_has_grown(small: Path, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small/till.py").write_text("# one\n# two\n" + SMALL)
    mutant = named(tmp_path, Kind.ALWAYS, "number < 2")
    reaching = CoverageMap(small / "map").reaching(tmp_path, mutant.file, mutant.reached)
    assert [one.name for one in reaching] == ["checks/test_till.py::test_halves"]


def test_a_map_says_what_is_still_to_be_measured(small: Path) -> None:
    known = CoverageMap(small / "map")
    assert (known.knows("checks"), known.knows("check"), known.knows("tests/runtime")) == (True, False, False)


def test_a_real_protection_is_guarded() -> None:
    file, test = "contracts/runtime/resend.py", "test_what_a_dropped_reply_owes_is_given_back"
    [mutant] = [one for one in mutants_of(ROOT, file) if one.key.endswith("confirm::always::reply is None")]
    with copied(ROOT) as tree:
        result = attempt(Trials(tree), mutant, [Timed(f"tests/runtime/test_resend.py::{test}", 0.1)], SECONDS)
    assert result.verdict is Verdict.KILLED


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    mutant = Mutant("a.py", "f", Kind.NEVER, "x", frozenset(), ())
    result = Result(mutant.key, Verdict.SURVIVED, "", "passed", Simulated.NOTICED, 1.0)
    Ledger(path).add(result)
    with path.open("a") as file:
        file.write('{"key": "half a li')
    assert Ledger(path).results == {mutant.key: result}


def test_the_page_counts_each_mutant_once() -> None:
    mutants = [Mutant("a/b.py", "f", Kind.NEVER, source, frozenset(), ()) for source in "pqrs|"]
    verdicts = (Verdict.KILLED, Verdict.SURVIVED, Verdict.SURVIVED, Verdict.LATE)
    results = {
        mutant.key: Result(mutant.key, verdict, "tests/t.py::t", "failed", Simulated.UNREACHED, 1.0)
        for mutant, verdict in zip(mutants, verdicts, strict=False)
    }
    argued = {mutants[0].key: "not needed", mutants[1].key: "nobody can tell"}
    counts = "1 killed, 1 argued, 1 survived, 1 late, 0 unreached, 1 not run"
    assert summary(mutants, results, argued) == f"5 mutants: {counts}"
    text = page(mutants, results, argued, "all")
    assert "| **all** | 5 | 1 | 1 | 1 | 1 | 0 | 1 |" in text
    assert "| a/b.py f: never `q` | argued | nobody can tell |" in text


def test_a_sample_is_the_same_for_the_same_seed(small: Path) -> None:
    found = find(small, ["small"])
    assert sample(found, 4, 7) == sample(found[::-1], 4, 7)
    assert sample(found, 4, 7) != sample(found, 4, 8)
    chosen = sample(found, 4, 7)
    others = [one for one in found if one != chosen[0]]
    assert sample(others, 3, 7) == chosen[1:], "a mutant that is gone moves no other"


def test_every_argument_is_about_a_mutant() -> None:
    known = {mutant.key for mutant in find(ROOT)}
    assert arguments().keys() <= known, "the source has changed: argue anew, or strike it"
    assert all(arguments().values()), "without a reason it is no argument"
    assert ARGUMENTS.read_text("utf-8").count("[[argued]]") == len(arguments()), "one is argued twice"
