"""`multi-agent approvals policy`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from contracts.base.printing import print_json, print_line
from contracts.documents.approval_policy import ApprovalPolicy
from multi_agent.application.approvals.figures import RecordedAction, asked_per_hundred, recorded_actions
from multi_agent.application.approvals.policies import policy_file, policy_for, read_policy
from multi_agent.cli.options import data_dir_option, json_option, quiet_settings
from multi_agent.runtime.services import open_artifacts, open_client
from multi_agent.settings import Settings


@click.command()
@click.option(
    "--with",
    "other",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Say also how often these rules would ask.",
)
@data_dir_option
@json_option
def policy(other: Path | None, as_json: bool, **options: object) -> None:
    """Show your rules, and of a hundred recorded actions how many they ask a person about.

    The actions are attempts at tasks, calls of tools and results of the newest workflows in the data folder.
    """
    settings = quiet_settings(**options)
    own = policy_for(settings, None)
    actions = asyncio.run(_actions(settings))
    compared = {"without rules": None, "with your rules": own}
    if other is not None:
        compared[f"with {other}"] = read_policy(other, must_exist=True)
    if as_json:
        print_json(_json(settings, own, actions, compared))
        return
    print_line(f"{policy_file(settings)}: {f'version {own.version}' if own else 'no rules'}")
    for rule in own.rules if own else ():
        print_line(f"  {rule.then}  {rule.name}  {', '.join(rule.tools)}")
    for name, rules in compared.items():
        print_line(f"{asked_per_hundred(actions, rules):.1f} of 100 actions are asked about {name}")
    print_line(f"recorded: {len(actions)} actions")


def _json(
    settings: Settings,
    own: ApprovalPolicy | None,
    actions: list[RecordedAction],
    compared: dict[str, ApprovalPolicy | None],
) -> dict[str, object]:
    return {
        "file": str(policy_file(settings)),
        "policy": own.model_dump(mode="json") if own else None,
        "actions": len(actions),
        "asked_per_hundred": {name: asked_per_hundred(actions, rules) for name, rules in compared.items()},
    }


async def _actions(settings: Settings) -> list[RecordedAction]:
    async with open_client(settings) as client, open_artifacts(settings) as store:
        return await recorded_actions(client, store)
