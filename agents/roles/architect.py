"""The architect: writes a contract for a request."""

from __future__ import annotations

from typing import Final

from agents.loop.ends import end
from agents.roles.context import assignment
from agents.roles.repository_work import look_around, works_in_steps
from agents.roles.system_prompt import role_prompt
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from contracts.documents.reports import Contract
from contracts.schema.registry import load_schema

DEFAULT_PATH: Final = "contract.json"


class GiveContract(Contract):
    """The contract is done. Alone, after everything else."""


CONTRACT: Final = end("contract", GiveContract)


@agent(role="architect")
class ArchitectAgent:
    """Makes a Contract from the request and the task's description.

    In a repository it looks around in steps first (agents.loop), and names what is to be kept and changed.

    The contract is written to the first output file of the task that ends in `.json`, or to `contract.json`.
    It is also the task's report.
    """

    async def run(self, task: Task) -> AgentResult:
        path = task.check_writable(_contract_path(task))
        contract = await self.generate_contract(task)
        text = contract.model_dump_json(indent=2) + "\n"
        return AgentResult(files={path: text}, report=contract, summary=_summary(contract))

    async def generate_contract(self, task: Task) -> Contract:
        """Ask the model for a valid contract. Raises AgentFailure and what `Task.ask` raises."""
        if works_in_steps(task):
            found = await look_around(task, await assignment(task), CONTRACT)
            return Contract.model_validate(found.model_dump())
        schema = load_schema("contract")
        prompt = await assignment(task)
        return await task.ask_document(
            Contract, prompt, system=role_prompt(task, "architect", schema), schema=schema
        )


def _contract_path(task: Task) -> str:
    outputs = task.item.output_artifacts
    return next((path for path in outputs if path.endswith(".json")), DEFAULT_PATH)


def _summary(contract: Contract) -> str:
    names = ", ".join(interface.name for interface in contract.interfaces[:10])
    return f"contract {contract.contract_id}: {names}"
