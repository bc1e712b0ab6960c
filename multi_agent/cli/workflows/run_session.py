"""One `multi-agent run`: starts what is needed, and uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents.sdk.baselines import load_baseline
from agents.sdk.registry import agent_info
from artifacts import GitArtifactStore
from contracts.base.processes.command_lines import command_line
from contracts.documents.todo_list import TodoList
from contracts.messages.budget import Budget
from contracts.messages.payloads import Usage
from multi_agent.application.approvals.policies import policy_for
from multi_agent.application.baselines import command_for_all_tests
from multi_agent.application.bases import (
    RepositoryBase,
    find_base,
    look_at_base,
    take_base,
    with_model_of,
)
from multi_agent.application.ends.delivered_tests import delivered_tests
from multi_agent.application.ends.results import OFFER_SECONDS, offered_work
from multi_agent.application.ends.summary import FinishedRun, summarise
from multi_agent.application.follow import follow_until_settled
from multi_agent.application.plans import check_protected, check_roles, read_plan
from multi_agent.application.sandboxes import choose_ready
from multi_agent.application.spending.budgets import find_budget, planning_within
from multi_agent.application.spending.planning import planning_usage
from multi_agent.application.submission import Submission
from multi_agent.bootstrap import (
    HOST,
    check_model,
    check_price,
    find_agents,
    make_bus,
    make_client,
    make_database,
    make_environments,
    make_index,
    make_model,
    make_planner,
    open_workspaces,
    sandbox_settings,
)
from multi_agent.cli.output import may_ask
from multi_agent.cli.workflows.screen import Screen
from multi_agent.models import Asked
from multi_agent.runtime.baselines import BaselineBeside
from multi_agent.runtime.forking.forked_processes import ForkedProcesses
from multi_agent.runtime.observing.bus_watch import check_bus, watched
from multi_agent.runtime.observing.event_hooks import told
from multi_agent.runtime.observing.hooks import Hook
from multi_agent.runtime.observing.step_watch import steps_told
from multi_agent.runtime.observing.trace_export import exported
from multi_agent.runtime.served_paths import served_paths
from multi_agent.runtime.services import open_artifacts
from multi_agent.runtime.stack import Stack
from multi_agent.settings import Settings
from orchestrator.client.database_retry import DatabaseRetry
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.commands import Terms
from orchestrator.core.state import WorkflowStatus
from planner_service import single_plan
from sandbox_runner import survey_until_ready


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What was asked for; exactly one of request, plan and resume is set."""

    request: str | None
    plan: Path | None
    resume: str | None
    repo: Path | None
    modules: tuple[str, ...]
    hooks: tuple[Hook, ...] = ()
    """What is told of ends and of questions to people."""
    again: tuple[str, ...] = ()
    """Options with which whoever resumes it works alike."""
    typed: tuple[str, ...] = ()
    """The words of the command, without a choice of the model."""
    watch_steps: bool = False
    """Whether each step of an agent is said."""


class RunSession:
    """Starts the stack, plans, submits, follows and summarises."""

    def __init__(
        self, settings: Settings, options: RunOptions, screen: Screen, forked: ForkedProcesses | None = None
    ) -> None:
        """`forked`: see Stack."""
        self._options = options
        self._screen = screen
        self._settings = settings
        self._forked = forked
        self._base = RepositoryBase()
        self._planning: Usage | None = None
        self._budget: Budget | None = None
        self._submission = Submission()
        self._resumed: str | None = None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def workflow_id(self) -> str | None:
        """Known as soon as the workflow may be stored."""
        return self._resumed or self._submission.workflow_id

    @property
    def again(self) -> tuple[str, ...]:
        """Options with which whoever resumes it works alike, the repository's model among them."""
        named = with_model_of(self._settings, self._base).model
        more = ("--model", named) if named and self._settings.model is None else ()
        return (*more, *self._options.again)

    async def run(self) -> FinishedRun:
        """Run until the workflow has ended or waits for a person. What was started is stopped in any case."""
        options, say = self._options, self._screen.say
        await check_bus(self._settings, say)
        if options.repo:
            self._base = await find_base(options.repo, say)
        settings = with_model_of(self._settings, self._base)
        self._stack = Stack(settings, say, modules=options.modules, forked=self._forked)
        plan = read_plan(options.plan, settings.max_tasks) if options.plan else None
        if options.resume is None:
            said = self._base.settings
            limit = said.budget_usd if said else None
            self._budget = find_budget(settings, limit, partial(check_price, settings), say)
        await self._check_agents_and_model(settings, plan)
        await self._check_sandbox(settings)
        async with open_artifacts(settings) as artifacts:
            self._baseline = BaselineBeside(artifacts, say)
            try:
                if options.repo:
                    await take_base(artifacts, options.repo, self._base, settings, say)
                if settings.sandbox != HOST:
                    await self._make_environment(settings, artifacts)
                await self._stack.start()
                if settings.sandbox == HOST:
                    # Where the hosts have it, or make it.
                    await self._make_environment(self._stack.settings, artifacts)
                self._baseline.start(self._stack.settings, self._base)
                if plan is None and options.request is not None:
                    plan = await self._make_plan(options.request, artifacts)
                used = self._stack.settings
                served = served_paths(used)
                async with told(used, options.hooks, say), exported(used, say):
                    return await served.during(self._work(plan, artifacts))
            finally:
                self._screen.close()
                await self._baseline.stop()
                await (self._stopping or self._stack.stop())

    async def _check_agents_and_model(self, settings: Settings, plan: TodoList | None) -> None:
        """Refuse before anything starts what could only fail later."""
        served = {agent_info(found).role for found in find_agents(self._options.modules)}
        if plan is not None:
            check_roles(plan, served, hint="--agents MODULE")
            check_protected(plan, self._base.protected)
        for line in await check_model(settings, await self._asked(settings)):
            self._screen.say(line)

    async def _asked(self, settings: Settings) -> Asked | None:
        options = self._options
        if options.request is None:
            return None
        if options.repo is not None or self._is_single:
            # No shipped recording starts from a repository.
            return Asked(None, command_line("run", *options.typed))
        model = make_model(settings)
        try:
            planner = make_planner(settings, model, options.modules)
            return Asked(planner.first_request(options.request), command_line("run", *options.typed))
        finally:
            await model.close()

    async def _check_sandbox(self, settings: Settings) -> None:
        wanted = sandbox_settings(settings)
        choice = choose_ready(await survey_until_ready(wanted), {wanted.backend})
        self._screen.say(f"sandbox: {choice.chosen.name} ({choice.chosen.isolation.value})")
        if choice.stronger is not None:
            self._screen.say(f"a stronger one, {choice.stronger.name}: {choice.stronger.how_to_get}")

    async def _make_environment(self, settings: Settings, artifacts: GitArtifactStore) -> None:
        """Make what the repository needs before anything is asked or paid, and say which it is."""
        if self._base.commit is None:
            return
        workspaces, say = open_workspaces(settings, artifacts), self._screen.say
        try:
            environments = make_environments(settings, artifacts, workspaces)
            async with environments.prepare(self._base.commit, say) as prepared:
                if prepared is not None:
                    say(prepared.line)
        finally:
            await workspaces.close()

    @property
    def _is_single(self) -> bool:
        """Whether no plan is made before the work: nobody knows how large it is."""
        wanted = self._settings.plan
        return wanted == "single" or (wanted == "auto" and self._options.repo is not None)

    async def _make_plan(self, request: str, artifacts: GitArtifactStore) -> TodoList:
        settings, base = self._stack.settings, self._base
        if self._is_single:
            seconds = settings.baseline_seconds
            command = await command_for_all_tests(artifacts, base) if seconds else ()
            how = "one agent works on all of it; --plan full has a plan made first"
            self._screen.say(f"{how}{_manual_hint(settings.model_spec)}")
            return single_plan(request, test_command=command, test_seconds=seconds)
        model = make_model(settings)
        self._screen.say(f"planning with {model.name} ...{_manual_hint(settings.model_spec)}")
        try:
            planner = make_planner(settings, model, self._options.modules, base.protected)
            index, say = make_index(settings, artifacts), self._screen.say
            seen = await look_at_base(artifacts, index, base, request, say)
            async with planning_within(self._budget) as purse:
                plan = await planner.plan(request, repository=seen)
            self._planning = planner.usage
            if self._budget is not None:
                self._budget = self._budget.model_copy(update={"planned": purse.spent})
            return plan
        finally:
            await model.close()

    async def _work(self, plan: TodoList | None, artifacts: GitArtifactStore) -> FinishedRun:
        settings = self._stack.settings
        database = make_database(settings)
        try:
            client = make_client(settings, database, via="command line")
            if plan is not None:
                asks = may_ask(settings) and (self._base.commit is not None or bool(self._options.modules))
                terms = Terms(asks, self._budget, policy_for(settings, self._base.settings))
                name = await self._submission.submit(client, plan, self._base, self._planning, terms=terms)
                self._screen.say(f"workflow {name}: {len(plan.items)} tasks")
                self._baseline.keep(name)
            else:
                name = self._resumed = await client.resolve(self._options.resume)
                await self._make_baseline_of(client, name, artifacts)
            view = await self._follow(client, name)
            if view.header.status is WorkflowStatus.COMPLETED:
                # Nothing more is asked of the processes: the summary is made while they end.
                self._stopping = asyncio.create_task(self._stack.stop())
            planning = await planning_usage(client, name)
            offered = await offered_work(client, view, wait_seconds=OFFER_SECONDS)
            summary = await summarise(view, artifacts, settings.artifacts, planning)
            commit = offered.commit if offered else summary.commit
            return FinishedRun(view, summary, offered, await delivered_tests(artifacts, view, commit))
        finally:
            await database.close()

    async def _make_baseline_of(self, client: WorkflowClient, name: str, artifacts: GitArtifactStore) -> None:
        """Make the baseline of a workflow that was interrupted before it had one."""
        view = await client.workflow(name)
        if view is None or view.header.status.terminal or await load_baseline(artifacts, name) is not None:
            return
        self._baseline.start(
            self._stack.settings, RepositoryBase(view.header.base_commit, view.header.repository)
        )
        self._baseline.keep(name)

    @asynccontextmanager
    async def _steps_told(self, workflow_id: str) -> AsyncIterator[None]:
        if not self._options.watch_steps:
            yield
            return
        settings = self._stack.settings
        bus = make_bus(settings)
        try:
            async with steps_told(bus, workflow_id, settings.redactor, self._screen.say):
                yield
        finally:
            await bus.close()

    async def _follow(self, client: WorkflowClient, workflow_id: str) -> WorkflowView:
        screen = self._screen
        async with (
            self._stack.kept_served(),
            watched(self._stack.trouble, screen.wait_for, screen.go_on),
            self._steps_told(workflow_id),
        ):
            retry = DatabaseRetry(self._screen.say)
            return await follow_until_settled(client, workflow_id, retry, self._screen.show)


def _manual_hint(spec: str) -> str:
    """Where a person finds the prompts, when a person is the model."""
    _, found, folder = spec.partition("manual:")
    return f"; answer each {folder}/*.prompt.md in a file of the same name with .answer.txt" if found else ""
