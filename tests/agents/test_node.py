"""Node.js projects: honest ones, wrong ones, and those that want to look right."""

from __future__ import annotations

import pytest

from agents.roles.tester import TesterAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from agents.testing.node_commands import as_node, declared_in_node
from contracts.base.errors import InvalidInput, SandboxUnavailable
from contracts.documents.reports import TestReport
from contracts.ports.sandbox import Isolation, Sandbox, SandboxResult, Verdict
from tests.agents.support import ScriptedSandbox, TaskMaker

TEST = """
import test, { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { double } from '../app/calc.mjs';

test('two', () => assert.equal(double(2), 4));
describe('more', () => {
  it('text', async () => { assert.deepEqual([double('ab')], ['abab']); });
});
"""
RIGHT = "export const double = (x) => (typeof x === 'string' ? x + x : 2 * x);\n"
WRONG = "export const double = (x) => 3 * x;\n"
ATTACKS = {
    "wrong": (WRONG, "6 !== 4"),
    "exit on import": ("process.exit(0);\n" + RIGHT, "did not come to its end"),
    "exit in the call": ("export const double = () => process.exit(0);\n", "did not come to its end"),
    "kills its parent": ("process.kill(process.ppid, 'SIGKILL');\n" + RIGHT, "ended"),
    "patches assertions": (
        "import a from 'node:assert';\na.strict.equal = a.strict.deepEqual = () => {};\n" + WRONG,
        "Cannot assign to read only property",
    ),
    "patches them all": (
        "import a from 'node:assert';\nfor (const m of [a, a.strict]) for (const k in m) m[k] = () => {};\n"
        + WRONG,
        "Cannot assign to read only property",
    ),
    "prints a result": (
        "console.log('# pass 2\\n# fail 0');\nprocess.stdout.write('ok 1 - two\\n');\nprocess.exit(0);\n"
        + RIGHT,
        "did not come to its end",
    ),
    "does not load": ("import nothing from './nothing.mjs';\n", "nothing.mjs"),
    "fails to load": ("throw new Error('early');\n" + RIGHT, "early"),
}


@pytest.fixture
def sandbox(either_sandbox: Sandbox) -> Sandbox:
    return either_sandbox


async def _run(sandbox: Sandbox, files: dict[str, str], cmd: str = "node --test tests") -> AgentResult:
    base = BaseTree({path: text.encode() for path, text in files.items()})
    criteria = {"tests": [{"cmd": cmd, "timeout_seconds": 60}]}
    task = TaskMaker(sandbox=sandbox)(base=base, role="tester", cycle=1, acceptance_criteria=criteria)
    return await TesterAgent().run(task)


def _messages(result: AgentResult) -> str:
    assert isinstance(result.report, TestReport)
    return "; ".join(case.message for case in result.report.results)


async def test_right_code_passes(sandbox: Sandbox) -> None:
    result = await _run(sandbox, {"tests/calc.test.mjs": TEST, "app/calc.mjs": RIGHT})
    assert isinstance(result.report, TestReport)
    assert [(case.test_id, case.outcome, case.message) for case in result.report.results] == [
        ("tests/calc.test.mjs::more > text", "passed", ""),
        ("tests/calc.test.mjs::two", "passed", ""),
    ]
    assert result.verdict == "passed"
    assert result.report.coverage_percent is None


@pytest.mark.parametrize("name", ATTACKS)
async def test_wrong_or_forged_is_not_verified(sandbox: Sandbox, name: str) -> None:
    code, reason = ATTACKS[name]
    result = await _run(sandbox, {"tests/calc.test.mjs": TEST, "app/calc.mjs": code})
    assert result.verdict == "failed"
    assert reason in _messages(result)


LEAVES_A_CHILD = """
import { spawn } from 'node:child_process';
const forged = "import test from 'node:test';\\ntest('five', () => {});\\n";
const code = `const fs = require('fs'); setInterval(() => {
  try { fs.writeFileSync('tests/later.test.mjs', ${JSON.stringify(forged)}); } catch {}
  try { fs.writeFileSync('seen', 'x'); } catch {}
}, 1)`;
spawn(process.execPath, ['-e', code], { detached: true, stdio: 'ignore' }).unref();
export const double = (x) => (x === 2 ? 4 : 'abab');
"""


async def test_a_child_of_one_run_changes_nothing_in_the_next(sandbox: Sandbox) -> None:
    later = TEST.replace("'two'", "'five'").replace("double(2), 4", "double(5), 10")
    files = {"tests/calc.test.mjs": TEST, "tests/later.test.mjs": later, "app/calc.mjs": LEAVES_A_CHILD}
    result = await _run(sandbox, files)
    assert result.verdict == "failed"
    assert isinstance(result.report, TestReport)
    outcomes = {case.test_id: case.outcome for case in result.report.results}
    assert outcomes["tests/later.test.mjs::five"] == "failed"


async def test_tests_that_are_not_there_are_missed(sandbox: Sandbox) -> None:
    hidden = "import test from 'node:test';\nif (false)\ntest('two', () => {});\n"
    result = await _run(sandbox, {"tests/calc.test.mjs": hidden})
    assert "were not run: tests/calc.test.mjs::two" in _messages(result)
    empty = await _run(sandbox, {"tests/calc.test.mjs": ""})
    assert "no test was found" in _messages(empty)
    skipped = await _run(
        sandbox, {"tests/calc.test.mjs": "require('node:test').skip('a', () => {});", "x": ""}, "node --test"
    )
    assert skipped.verdict == "failed"


async def test_without_the_program_it_is_nobodys_fault(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agents.testing import sessions  # noqa: PLC0415

    monkeypatch.setattr(sessions, "_node_argv", lambda: ["no-such-node"])
    with pytest.raises(SandboxUnavailable, match=r"has no Node.js: install Node.js"):
        await _run(sandbox, {"tests/calc.test.mjs": TEST, "app/calc.mjs": RIGHT})
    absent = SandboxResult(Verdict.FAILED, 127, b"", b"", {}, 0.1, "test", Isolation.NAMESPACES)
    with pytest.raises(SandboxUnavailable, match=r"Node\.js"):
        await _run(ScriptedSandbox(absent), {"main.mjs": ""}, "node main.mjs")


def test_commands_and_names_are_read() -> None:
    files = {
        "tests/a.test.mjs": b"",
        "b-test.js": b"",
        "test/any.cjs": b"",
        "app/c.mjs": b"",
        "tests/a.py": b"",
    }
    assert as_node(("node", "--test"), files) == ("b-test.js", "test/any.cjs", "tests/a.test.mjs")
    assert as_node(("node", "--test", "./tests/", "app/c.mjs"), files) == ("app/c.mjs", "tests/a.test.mjs")
    assert as_node(("node", "main.mjs"), files) is None
    for words in (("--test-name-pattern=x",), ("nowhere",)):
        with pytest.raises(InvalidInput):
            as_node(("node", "--test", *words), files)
    source = b"""
test('one', () => {});
  test('within another', () => {});
/* test('gone', () => {}); */
// test('gone too', () => {});
test(`made ${1}`, () => {});
describe("suite", () => {
  it("inner", () => {});
});
"""
    assert declared_in_node({"a.mjs": source}).expected == {"a.mjs::one", "a.mjs::suite > inner"}
