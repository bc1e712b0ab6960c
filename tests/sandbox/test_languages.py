"""Every backend runs the tests of every language, and keeps the report out of their reach."""

from __future__ import annotations

from contracts.ports.sandbox import Sandbox, SandboxRequest, Verdict
from tests.agents import test_forgery, test_node


async def test_nodes_programs_run(sandbox: Sandbox) -> None:
    """V8 reserves far more address space than it uses, and starts a dozen threads."""
    script = b"console.log(JSON.stringify(process.argv.slice(2)), new Array(1e6).fill(1).length)"
    ended = await sandbox.run(SandboxRequest(("node", "main.js", "a b"), {"main.js": script}))
    assert (ended.verdict, ended.stdout) == (Verdict.OK, b'["a b"] 1000000\n')


async def test_node_tests_are_judged(sandbox: Sandbox) -> None:
    await test_node.test_right_code_passes(sandbox)
    await test_node.test_wrong_or_forged_is_not_verified(sandbox, "wrong")
    await test_node.test_wrong_or_forged_is_not_verified(sandbox, "exit in the call")


async def test_python_tests_are_judged(sandbox: Sandbox) -> None:
    await test_forgery.test_honest_code_of_many_kinds_passes(sandbox)
    await test_forgery.test_a_forgery_is_not_verified(sandbox, "asks its parent")
    await test_forgery.test_a_forgery_is_not_verified(sandbox, "liar that takes over")
    await test_forgery.test_a_forgery_is_not_verified(sandbox, "spares what it knows to be extra")
