"""The planner: asks a model for a plan, checks the answer, and sends problems back for repair."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from contracts.base.answers.so_far import AnswerSoFar
from contracts.base.errors import InvalidDocument, InvalidPlan, LimitExceeded, Problem
from contracts.base.model_answer import check_size, parse_answer
from contracts.base.processes.bounded_call import bounded_call
from contracts.documents.plan_checks import PlanLimits, parse_plan, untested_problems
from contracts.documents.todo_list import Role, TodoList
from contracts.messages.payloads import Usage
from contracts.ports.model import ModelClient, ModelMessage, ModelRequest, ModelResponse
from contracts.schema.registry import load_schema
from planner_service.prompt import echo, problem_list, repair_prompt, request_prompt, system_prompt
from planner_service.repository_summary import RepositorySummary
from planner_service.request import check_request, todo_list_id

PURPOSE: Final = "planner.plan"
PLANNED_ROLES: Final = frozenset({Role.ARCHITECT, Role.CODER, Role.TESTER, Role.REVIEWER})


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """Limits of a plan and of the conversation that produces it."""

    limits: PlanLimits = field(default_factory=PlanLimits)
    known_roles: frozenset[str] = PLANNED_ROLES
    """Roles that a plan may name. Debugger and planner are never planned: others call for them."""
    max_repairs: int = 2
    """How often the problems of an answer are sent back to the model."""
    max_output_tokens: int = 16_384
    """Limit of one answer, in tokens."""
    max_answer_bytes: int = 1_000_000
    """Limit of one answer, in bytes of UTF-8."""


class Planner:
    """Makes plans with one model.

    The prompts contain no time, path or random id, so equal requests have equal hashes.
    """

    def __init__(self, model: ModelClient, settings: PlannerSettings | None = None) -> None:
        self._model = model
        self._settings = settings or PlannerSettings()
        self._roles = self._settings.known_roles - {Role.DEBUGGER, Role.PLANNER}
        self._schema = load_schema("todo")
        self.usage = Usage()
        """What all answers so far consumed."""

    async def plan(
        self, request: str, *, repository: RepositorySummary | None = None, found: str = ""
    ) -> TodoList:
        """Return a checked plan for the request. `repository` is None for an empty repository.

        found: why an agent that was to do it alone asks for a plan, and what it found; "" for nobody.

        An answer whose code no test looks at is sent back too; as the last one it is taken.
        Raises InvalidInput for a request that is not accepted, InvalidPlan when the last of 1 + max_repairs
        answers is still not a valid plan, and the errors of the model client.
        """
        request = check_request(request)
        first = self.first_request(request, repository, found)
        turns = list(first.messages)
        problems: list[Problem] = []
        so_far = AnswerSoFar()
        for repairs_left in reversed(range(1 + self._settings.max_repairs)):
            schema = None if so_far.part else self._schema  # which is that of the whole
            asked = replace(first, messages=tuple(turns), response_schema=schema)
            response = await self._model.complete(asked)
            self._count(response)
            try:
                check_size(response.text, self._settings.max_answer_bytes)
                whole = await so_far.add(response.text)
                return await bounded_call(
                    len(whole),
                    read_plan,
                    whole,
                    request,
                    self._settings,
                    self._roles,
                    tested=repairs_left > 0,
                )
            except InvalidDocument as error:
                problems = error.problems
                await so_far.ask_for(problems)
            except LimitExceeded as error:
                problems = [Problem("$", f"the plan {error}; answer with a smaller one")]
            turns.append(ModelMessage("model", echo(response.text)))
            turns.append(ModelMessage("user", repair_prompt(problems, so_far.part)))
        raise InvalidPlan(
            f"model {self._model.name} gave no valid plan in {1 + self._settings.max_repairs} answers; "
            f"in the last one:\n{problem_list(problems)}\n"
            "Say more precisely what should be built, split the request, or use another model."
        )

    def first_request(
        self, request: str, repository: RepositorySummary | None = None, found: str = ""
    ) -> ModelRequest:
        """What the model is asked first. Raises InvalidInput for a request that is not accepted."""
        most = self._settings.limits.max_tasks
        return ModelRequest(
            purpose=PURPOSE,
            system=system_prompt(self._schema, self._roles, most, in_repository=repository is not None),
            messages=(ModelMessage("user", request_prompt(check_request(request), repository, found)),),
            response_schema=self._schema,
            max_output_tokens=self._settings.max_output_tokens,
        )

    async def close(self) -> None:
        """Close the model client."""
        await self._model.close()

    def _count(self, response: ModelResponse) -> None:
        self.usage = self.usage.plus(response.usage)


def read_plan(
    answer: str, request: str, settings: PlannerSettings, roles: frozenset[str], *, tested: bool
) -> TodoList:
    """Return the plan in a model's answer. Raises InvalidDocument, with `tested` also for untested code."""

    def plan_of(document: object) -> TodoList:
        if not isinstance(document, dict):
            raise InvalidDocument("todo", [Problem("$", "must be an object that holds the tasks in `items`")])
        # The model chooses neither the id nor the recorded request.
        named = document | {"todo_list_id": todo_list_id(request), "request": request}
        return parse_plan(named, settings.limits, roles)

    def fits(document: object) -> bool:
        try:
            plan_of(document)
        except InvalidDocument:
            return False
        return True

    plan = plan_of(parse_answer(answer, max_bytes=settings.max_answer_bytes, fits=fits))
    if tested and Role.TESTER in roles and (problems := untested_problems(plan)):
        raise InvalidDocument("todo", problems)
    return plan
