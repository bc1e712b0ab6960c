"""Tests for Node.js in one process and their code in another: what serves them, what code can do."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest

from agents.sdk.result import AgentResult
from agents.testing.apart.choosing import apart_node_files
from agents.testing.verdict import Session
from contracts.documents.reports import TestCase, TestReport
from contracts.ports.sandbox import Sandbox
from tests.agents.forgery.programs import Program, forging, honest

_EXERCISES: Final = Path(__file__).parent / "forgery" / "exercises.toml"
_WIRE: Final = Path(__file__).parents[2] / "agents/testing/harness/node_apart/wire.mjs"
_HONEST: Final = {program.name: program for program in honest()}
_FORGING: Final = {program.name: program for program in forging()}
_HEAD: Final = "import test from 'node:test';\nimport assert from 'node:assert/strict';\n"


def _cases(result: AgentResult) -> dict[str, tuple[str, bool]]:
    assert isinstance(result.report, TestReport)
    return {case.test_id.partition("::")[2]: (case.outcome, case.apart) for case in result.report.results}


async def test_ordinary_exercises_run_apart(sandbox: Sandbox) -> None:
    """At least four of five tests, and none that passes a function to the code."""
    exercises = tomllib.loads(_EXERCISES.read_text("utf-8"))
    files = {path: text for found in exercises.values() for path, text in found.items()}
    result = await Program("exercises", files, "mjs").run(sandbox)
    assert result.verdict == "passed"
    assert result.tests is not None
    assert (result.tests.apart or 0) >= 0.8 * result.tests.passed
    together = {name for name, (_, apart) in _cases(result).items() if not apart}
    assert together == {"squares", "upper case", "lists > filter", "lists > foldl"}


@pytest.mark.parametrize(
    ("name", "together"),
    [
        ("node_common_modules", set()),
        ("node_async_kinds", set()),
        ("node_closures_and_bindings", set()),
        ("node_urls_and_weak_maps", {"address"}),
        ("node_tests_that_reach_inside", {"derives", "calls back", "spies", "patches"}),
    ],
)
async def test_honest_tests_pass_either_way(sandbox: Sandbox, name: str, together: set[str]) -> None:
    result = await _HONEST[name].run(sandbox)
    assert result.verdict == "passed", result.report
    assert {test for test, (_, apart) in _cases(result).items() if not apart} == together


@pytest.mark.parametrize(
    "name",
    [
        "binding_write",
        "module_load",
        "module_load_of_js",
        "class_takes_all",
        "debugger_of_another",
        "array_iteration",
    ],
)
async def test_what_wants_to_look_right_is_not_verified(sandbox: Sandbox, name: str) -> None:
    assert (await _FORGING[name].run(sandbox)).verdict == "failed"


async def test_the_memory_of_the_tests_is_out_of_reach(sandbox: Sandbox) -> None:
    """In one process nothing keeps such code from it; the report does not say that it could not reach."""
    result = await _FORGING["memory_of_tests"].run(sandbox)
    assert {test for test, (_, apart) in _cases(result).items() if apart} <= {"two"}


REACHES: Final = """
import fs from 'node:fs';
export const reached = fs.readdirSync('/proc')
  .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
  .flatMap((pid) => ['mem', 'environ', 'fd/0'].map((name) => `/proc/${pid}/${name}`))
  .filter((path) => { try { fs.closeSync(fs.openSync(path, 'r')); return true; } catch { return false; } });
"""


async def test_code_apart_opens_nothing_of_another_process(sandbox: Sandbox) -> None:
    body = "import { reached } from '../app/calc.mjs';\ntest('it', () => assert.deepEqual(reached, []));\n"
    files = {"app/calc.mjs": REACHES, "tests/calc.test.mjs": _HEAD + body}
    assert _cases(await Program("reaches", files, "mjs").run(sandbox)) == {"it": ("passed", True)}


# Wrong code, not malicious: what it does is seen from another process as it is from its own.
MISTAKEN: Final = {
    "changes its input": (
        "export const sorted = (list) => list.sort();\n",
        "const list = [2, 1]; calc.sorted(list); assert.deepEqual(list, [2, 1]);",
    ),
    "gives its own list": (
        "export class Box { #all = [1]; all() { return this.#all; } }\n",
        "const box = new calc.Box(); box.all().push(2); assert.deepEqual(box.all(), [1]);",
    ),
    "gives what it was given": (
        "export const copy = (value) => value;\n",
        "const value = { a: new Map() }; assert.notEqual(calc.copy(value), value);",
    ),
    "another class": (
        "export class A { x = 1; }\nexport class B { x = 1; }\nexport const make = () => new B();\n",
        "assert.deepEqual(calc.make(), new calc.A());",
    ),
    "fails later": (
        "export const start = () => { setTimeout(() => { throw new Error('late'); }); return 1; };\n",
        "assert.equal(calc.start(), 1); return new Promise((done) => { setTimeout(done, 100); });",
    ),
    "a promise too few": (
        "export const later = () => 1;\n",
        "assert.ok(calc.later() instanceof Promise);",
    ),
    "changes what all objects have": (
        "export const set = (to, path, value) => {\n"
        "  const last = path.pop();\n  path.reduce((part, key) => part[key], to)[last] = value;\n};\n",
        "calc.set({}, ['constructor', 'prototype', 'all'], 1); assert.equal({}.all, undefined);",
    ),
    "changes what is built in": (
        "export const set = () => { Math.max = () => 0; };\n",
        "calc.set(); assert.equal(Math.max(1, 2), 2);",
    ),
    "is written otherwise": (
        "export function sum(list) { let sum = 0; for (const x of list) sum += x; return sum; }\n",
        "assert.equal(calc.sum([1, 2]), 3); assert.doesNotMatch(`${calc.sum}`, /for/);",
    ),
    "rejects": (
        "export const later = async () => { throw new RangeError('no'); };\n",
        "return assert.rejects(calc.later(), TypeError);",
    ),
}


@pytest.mark.parametrize("name", MISTAKEN)
async def test_what_is_wrong_is_wrong_apart(sandbox: Sandbox, name: str) -> None:
    code, body = MISTAKEN[name]
    test = f"{_HEAD}import * as calc from '../app/calc.mjs';\ntest('it', () => {{ {body} }});\n"
    result = await Program(name, {"app/calc.mjs": code, "tests/calc.test.mjs": test}, "mjs").run(sandbox)
    assert result.verdict == "failed"
    assert _cases(result)["it"][1] is False


SWAPS = """
import fs from 'node:fs';
if (fs.existsSync('tests/helper.mjs')) {
  fs.renameSync('tests', 'kept');
  fs.mkdirSync('tests');
  fs.writeFileSync('tests/helper.mjs', 'export const check = () => {};');
}
let swapped = fs.existsSync('kept');
export const sum = () => {
  if (swapped) { fs.rmSync('tests', { recursive: true }); fs.renameSync('kept', 'tests'); }
  swapped = false;
  return 42;
};
"""


async def test_helpers_of_the_tests_are_those_that_were_there(sandbox: Sandbox) -> None:
    """The code runs before the tests have loaded all of theirs."""
    body = "import { sum } from '../app/calc.mjs';\nimport { check } from './helper.mjs';\n"
    files = {
        "app/calc.mjs": SWAPS,
        "tests/calc.test.mjs": f"{_HEAD}{body}test('it', () => check(sum(1, 2), 3));\n",
        "tests/helper.mjs": f"{_HEAD}export const check = (one, other) => assert.equal(one, other);\n",
    }
    assert (await Program("swaps", files, "mjs").run(sandbox)).verdict == "failed"


async def test_match_is_not_its_opposite(sandbox: Sandbox) -> None:
    """Node.js tells one from the other by what its module holds."""
    calls = {"is": "match(text, /b/)", "is not": "doesNotMatch(text, /d/)"}
    calls |= {"wrong": "match(text, /d/)", "wrong too": "doesNotMatch(text, /b/)"}
    tests = [f"test('{name}', () => assert.{call});\n" for name, call in calls.items()]
    body = "".join(["const text = 'abc';\n", *tests])
    mocked = "import { mock } from 'node:test';\n"  # in one process
    for head in (_HEAD, mocked + _HEAD):
        cases = _cases(await Program("match", {"tests/a.test.mjs": head + body}, "mjs").run(sandbox))
        assert {name for name, (outcome, _) in cases.items() if outcome == "passed"} == {"is", "is not"}


@pytest.mark.parametrize(
    "message",
    [
        '[[], ["named", "Function"]]',
        '[[], ["named", "constructor"]]',
        '[[], ["named", "Object.prototype"]]',
        '[[], ["object", 1]]',
        '[[], ["symbol", "hasInstance"]]',
        '[[[2, ["view", null, ["Function", 8]], [0, [], ""]]], null]',
        '[[[2, ["object", ["named", "Function.prototype"], null], [0, [], null]]], null]',
        '[[[2, ["array", null, null], [0, [], []]], [2, ["array", null, null], null]], null]',
        '[[[2, ["view", ["object", 2], ["Uint8Array", 1]], [0, [], "AA=="]]], null]',
        '[[[2, ["view", ["named", "Map.prototype"], ["Uint8Array", 1]], [0, [["a", 1]], ""]]], null]',
        '[[[8, null, [0, [["valueOf", 1]], null]]], null]',
        "[]",
        "{",
    ],
)
def test_a_message_that_no_side_sends_is_refused(message: str) -> None:
    node = shutil.which("node")
    assert node is not None
    read = f"""
import {{ Shared }} from {str(_WIRE)!r};
const shared = new Shared(1, {{}});
try {{ shared.unpacked(process.argv[1]); console.log('read'); }} catch {{ console.log('refused'); }}
console.log(Object.getOwnPropertyNames(Object.prototype).length);
"""
    argv = [node, "--input-type=module", "-e", read, message]
    ended = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    assert ended.stdout.split() == ["refused", "12"]


def test_which_files_may_run_apart() -> None:
    texts = {
        "a.test.mjs": b"assert.equal(Object.prototype.toString.call(f()), '[object Money]');\n",
        "b.test.mjs": b"import { mock } from 'node:test';\n",
        "c.test.mjs": b"process.env.A = 'b';\n",
        "d.test.mjs": b"Math.random = () => 0.5;\n",
        "e.test.mjs": b"Array.prototype.last = function () {};\n",
        "f.test.mjs": b"test('a', () => { assert.ok(Date.now() === Date.now()); });\n",
    }
    assert apart_node_files(tuple(texts), texts) == ("a.test.mjs", "f.test.mjs")
    assert apart_node_files(("a.test.mjs",), {"a.test.mjs": b" " * 200_001}) == ()


def test_a_reason_counts_for_all_that_it_is_about() -> None:
    """For a test and what is in it, for a suite, or for a file."""
    ids = ["a::x", "a::x > in it", "a::s > y", "a::s > z", "b::x"]
    results = tuple(TestCase(test_id=test, outcome="passed") for test in ids)
    left_by = {"a::x": {*ids[2:]}, "a::s": {*ids[:2], "b::x"}, "a": {"b::x"}, "b::y": {*ids}}
    for unfit, left in left_by.items():
        assert Session(results, unfit=frozenset({unfit})).passed_apart == left
