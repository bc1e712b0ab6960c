"""`multi-agent approvals always`."""

from __future__ import annotations

import asyncio

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_line, print_text
from contracts.base.processes.command_lines import command_line
from multi_agent.application.approvals.policies import policy_file, propose_rule, sign_rule
from multi_agent.application.decisions import pending_approval
from multi_agent.cli.options import data_dir_option, newest_workflow_argument, settings_of, task_argument
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.core.audit.entries import AuditKind, Fact


@click.command()
@newest_workflow_argument
@task_argument
@click.option("--sign", "expected", metavar="HASH", help="Put the rule into force that hashes to this.")
@data_dir_option
def always(workflow: str | None, task: str | None, expected: str | None, **options: object) -> None:
    """Propose a rule that allows what TASK of WORKFLOW waits for whenever it is asked again.

    Nothing changes until you sign exactly the rules that it shows, with --sign. They hold for workflows that
    start afterwards; what waits now waits still.
    """
    asyncio.run(_always(settings_of(**options), workflow, task, expected))


async def _always(settings: Settings, workflow: str | None, task: str | None, expected: str | None) -> None:
    async with open_client(settings) as client:
        pending = await pending_approval(client, workflow, task)
        proposed = propose_rule(settings, pending)
        digest = proposed.policy.digest
        if expected is None:
            print_text(proposed.block)
            print_line(
                f"before all other rules of {policy_file(settings)}, as version {proposed.policy.version}"
            )
            sign = command_line("approvals", "always", pending.workflow_id, pending.task_id, "--sign", digest)
            print_line(f"sign it: {sign}")
            return
        if expected != digest:
            raise InvalidInput(f"--sign {expected}: the rules would hash to {digest}; look at them again")
        file = sign_rule(settings, proposed)
        facts: dict[str, Fact] = {"file": str(file), "rule": proposed.rule.name, "policy_sha256": digest}
        await client.audit.record(AuditKind.POLICY_SIGNED, facts, workflow_id=pending.workflow_id)
    print_line(f"done: {file} is version {proposed.policy.version}")
