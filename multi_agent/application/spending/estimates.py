"""What a run will cost, by what the runs before it have cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from statistics import median
from typing import Final, NamedTuple, TypeAlias

from contracts.messages.payloads import Usage
from multi_agent.application.spending.planning import planning_usage
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient

MOST_RUNS: Final = 50
"""The newest of those that have ended; what was long ago was another model, or another kind of work."""

CostOf: TypeAlias = Callable[[Usage], float | None]
"""What a usage costs in US dollars, None where no price is known."""


class RunUsage(NamedTuple):
    """What a run has used."""

    planned: int
    """Its tasks, without those that were added later."""
    usage: Usage

    @property
    def tokens(self) -> int:
        return self.usage.input_tokens + self.usage.output_tokens


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """What a run costs with one model; null where its price is not known."""

    model: str
    likely_usd: float | None
    dearest_usd: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run uses, as the runs before it did: half of them less than what is likely."""

    runs: int
    """How many ended runs it is from; without any there is none."""
    tasks: int | None
    """Of the plan that it is for, null for a request."""
    likely_tokens: int | None
    dearest_tokens: int | None
    models: tuple[ModelEstimate, ...]


async def runs_before(client: WorkflowClient) -> list[RunUsage]:
    """The newest runs that have ended and asked a model."""
    found: list[RunUsage] = []
    for one in await client.workflows(4 * MOST_RUNS):
        name = one.header.workflow_id
        if one.header.status.terminal and (view := await client.workflow(name)) is not None:
            run = _run_of(view, await planning_usage(client, name))
            found += [run] if run.tokens else []
        if len(found) == MOST_RUNS:
            break
    return found


def estimate(runs: Sequence[RunUsage], tasks: int | None, costs: Mapping[str, CostOf]) -> Estimate:
    """Estimate a request, or a plan of so many tasks: then by what a task of each run has taken. Pure.

    costs: by the name of each model that would be asked.
    """
    parts = [1.0 if tasks is None else tasks / max(1, run.planned) for run in runs]
    tokens = [round(run.tokens * part) for run, part in zip(runs, parts, strict=True)]
    models = []
    for model, cost_of in costs.items():
        known = [cost_of(run.usage) for run in runs]
        usd = [cost * part for cost, part in zip(known, parts, strict=True) if cost is not None]
        models.append(ModelEstimate(model, median(usd) if usd else None, max(usd, default=None)))
    likely = round(median(tokens)) if tokens else None
    return Estimate(len(runs), tasks, likely, max(tokens, default=None), tuple(models))


def _run_of(view: WorkflowView, planning: Usage) -> RunUsage:
    planned = sum(task.cycle == 0 for task in view.tasks)
    return RunUsage(planned, reduce(Usage.plus, (task.usage for task in view.tasks), planning))
