"""The task that an agent receives, with access to the model and the sandbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from agents.sdk.base_tree import EMPTY, BaseTree, read_start
from agents.sdk.baselines import load_baseline
from agents.sdk.changed_tree import over_commit
from agents.sdk.exchange_log import ExchangeLog
from agents.sdk.guidance import guidance_for, with_included
from agents.sdk.permits import CallPermits
from agents.sdk.prompting import material
from agents.sdk.questions import answer_to
from agents.sdk.skills import Skill, find_skills, skill_paths, skill_text
from agents.sdk.structured_output import Check, Dialogue
from agents.sdk.workplace import Workplace
from contracts.base.errors import AgentFailure, InvalidInput, NotConfigured, SandboxUnavailable, UnsafePath
from contracts.base.failpoints import failpoint
from contracts.base.model import Document
from contracts.base.paths import check_new_path, check_path, covers
from contracts.base.refs import is_reserved
from contracts.documents.baseline import Baseline
from contracts.documents.todo_list import TodoItem
from contracts.messages.payloads import TaskRequest
from contracts.messages.steps import StepTaken
from contracts.ports.artifacts import WorkerArtifacts
from contracts.ports.code_index import MAP_TOKENS, CodeIndex, RepositoryMap
from contracts.ports.model import ModelMessage, ModelRequest
from contracts.ports.sandbox import Sandbox, SandboxLimits, SandboxRequest, SandboxResult, Verdict
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import NO_ENVIRONMENT, Environment, Workspace

DEFAULT_SYSTEM: Final = "You do one task of a software project. Answer with the result alone."

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt of one task."""

    request: TaskRequest
    workflow_id: str
    exchanges: ExchangeLog
    sandbox: Sandbox
    base: BaseTree = EMPTY
    commits: WorkerArtifacts | None = None
    index: CodeIndex | None = None
    workplace: Workplace | None = None
    """None where there are no workspaces, as with sandbox hosts that know no artifact store."""
    on_step: Callable[[StepTaken], Awaitable[None]] | None = None
    """What is told each step of an agent that works in steps."""

    @property
    def files(self) -> Mapping[str, bytes]:
        """path -> content of the tree that the task starts from: the merged outcomes of its dependencies.

        A content is read when it is asked for.
        """
        return self.base.files

    @property
    def reports(self) -> Mapping[str, Mapping[str, Any]]:
        """task_id -> the report document that the task left."""
        return self.base.reports

    @property
    def authors(self) -> Mapping[str, str]:
        """path -> the role whose agent wrote the file, "" for several roles; unknown files are absent."""
        return self.base.authors

    @property
    def guidance(self) -> tuple[str, ...]:
        """The files in which the repository says how to work on what this task concerns, the nearest last."""
        item = self.item
        places = (*self.request.writable, *item.output_artifacts, *item.input_artifacts)
        return with_included(self.files, guidance_for(self.files.keys(), places))

    async def environment(self) -> Environment:
        """What programs of a task that started from a repository find beside its tree, prepared at first.

        Raises EnvironmentFailed, AgentFailure for a repository that must be mended, ArtifactError,
        SandboxUnavailable.
        """
        if self.workplace is None or self.request.base_commit is None:
            return NO_ENVIRONMENT
        return await self.workplace.environment()

    @property
    def skills(self) -> tuple[Skill, ...]:
        """What the repository has instructions for; `skill` reads them."""
        return find_skills({path: self.files[path] for path in skill_paths(self.files)}).offered

    def skill(self, name: str) -> str:
        """Return the instructions of a skill, which are data.

        Raises InvalidInput for one that is not offered.
        """
        offered = {skill.name: skill for skill in self.skills}
        if name not in offered:
            known = ", ".join(offered) or "none"
            raise InvalidInput(f"skill {name[:80]!r}: is not offered; there are {known}")
        return skill_text(self.files[offered[name].path])

    @property
    def item(self) -> TodoItem:
        return self.request.item

    async def first_files(self) -> Mapping[str, bytes]:
        """Return path -> content of what the workflow started from; {} where it started from nothing.

        Raises ArtifactError, StoreUnavailable.
        """
        return await read_start(self.request, self.commits)

    async def baseline(self) -> Baseline | None:
        """How the repository's own tests ended before any work; None as long as that is unknown.

        Raises ArtifactError, StoreUnavailable.
        """
        if self.commits is None or self.request.base_commit is None:
            return None
        return await load_baseline(self.commits, self.workflow_id)

    async def map(self, about: str, *, tokens: int = MAP_TOKENS) -> RepositoryMap | None:
        """Rank the files of the task's tree for a text, such as a failure; None without a repository.

        tokens: how long it may be, shown.

        Raises ArtifactError, StoreUnavailable, Unavailable.
        """
        if self.index is None or self.request.base_commit is None:
            return None
        return await self.index.map(self.base.commit, about, tokens=tokens)

    async def ask(self, prompt: str, *materials: bytes | str, system: str = DEFAULT_SYSTEM) -> str:
        """Return the model's answer as text. Materials, such as files, are appended and marked as data.

        Raises ModelUnavailable, ModelRejected, ModelRefused, ReplayMiss.
        """
        text = "\n\n".join([prompt, *(material(part) for part in materials)])
        request = ModelRequest(f"{self.item.agent_role}.ask", system, (ModelMessage("user", text),))
        return (await self.exchanges.complete(request)).text

    @property
    def permits(self) -> CallPermits:
        """What lets calls of tools pass, or ends the execution until a person has decided."""
        request = self.request
        role, log = request.item.agent_role, self.exchanges
        return CallPermits(request.permits, role, log, self.environment, request.dispatch_id)

    @property
    def may_ask(self) -> bool:
        """Whether a person can be asked, or was."""
        return bool(self.request.questions or self.request.resume_from)

    async def ask_person(self, question: str, choices: Sequence[str] = ()) -> str | None:
        """Return a person's answer to a question; None where nobody can be asked, or none is left to ask.

        As long as nobody has answered, the execution ends here, and that is no failure. The next one runs
        the agent from its start, with the answer: what a model has answered is read back, and paid once.
        choices: likely answers; the person may give any other. Raises Suspended, which no agent catches, and
        InvalidInput for a question that is empty or too long.
        """
        return answer_to(self.request, question, choices)

    async def ask_document(
        self,
        model_cls: type[D],
        prompt: str,
        *,
        system: str = DEFAULT_SYSTEM,
        schema: Mapping[str, Any] | None = None,
        check: Check[D] = lambda _: None,
    ) -> D:
        """Return the model's answer as a document.

        An answer that does not match the document's schema, takes too long to read, or for which `check`
        raises AgentFailure, is sent back to the model with the message, at most twice. Raises the last
        AgentFailure after that, and what `ask` raises.
        """
        purpose = f"{self.item.agent_role}.{model_cls.__name__}"
        request = ModelRequest(purpose, system, (ModelMessage("user", prompt),), schema)
        return await Dialogue(self.exchanges, model_cls, check).run(request)

    async def workspace(self, tree: str = "", *, anew: bool = False) -> Workspace:
        """Return the task's tree in a sandbox that lasts as long as the task; every call gives the same one.

        tree: what lies in it instead, such as what an earlier execution left; it counts for the first call.
        anew: end the one that is open, which serves no more, and open another.

        The caller does not close it. What was changed in it becomes part of the outcome only through
        AgentResult. Raises NotConfigured where there are no workspaces, and as Workspaces.open.
        """
        if self.workplace is None:
            raise NotConfigured("there is no workspace here: no sandbox host knows the artifact store")
        commit = self.base.commit or await self._empty_commit()
        base = TreeBase(commit, tree)
        return await (self.workplace.again(base) if anew else self.workplace.lasting(base))

    async def _empty_commit(self) -> str:
        if self.commits is None:
            raise NotConfigured("there is no workspace here: the task starts from nothing, and has no store")
        subject = f"Base of {self.item.task_id}"
        return await self.commits.merge((), subject=subject, created_at=self.request.created_at)

    async def run_sandbox(
        self,
        argv: Sequence[str],
        *,
        files: Mapping[str, bytes] | None = None,
        read_only: Sequence[str] = (),
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        wall_seconds: float | None = None,
    ) -> SandboxResult:
        """Run a command on `files` (by default the task's tree) without a network.

        The command cannot change those files that `read_only` names.

        Each call has a sandbox of its own. Where the workflow started from a repository, it holds the whole
        tree of the commit that `files` lies over, links and modes included, and `.git`.

        A program that fails is a result, not an error. Raises SandboxUnavailable, also when the sandbox was
        ended from outside while the program ran, and UnsafePath for a path that may not be written.
        """
        limits = SandboxLimits()
        if wall_seconds is not None:
            limits = replace(limits, wall_seconds=wall_seconds)
        request = SandboxRequest(
            argv=tuple(argv),
            read_only=tuple(read_only),
            stdin=stdin,
            collect=tuple(collect),
            limits=limits,
            labels={"workflow": self.workflow_id, "task": self.item.task_id},
        )
        failpoint("worker.before_sandbox")
        result = await self._run(self.files if files is None else files, request)
        if result.verdict is Verdict.KILLED:
            # No program can reach the sandbox's process 1, so the program is not the cause.
            raise SandboxUnavailable(f"the sandbox {result.backend} was ended while the program ran")
        failpoint("worker.after_sandbox")
        return result

    async def _run(self, tree: Mapping[str, bytes], request: SandboxRequest) -> SandboxResult:
        found = over_commit(tree)
        start = self.request.base_commit
        if self.workplace is None or start is None or found is None:
            files = dict(tree)
            return await self.sandbox.run(
                replace(request, files=files, limits=request.limits.with_room_for(files))
            )
        committed, changes = found
        return await self.workplace.run(start, committed.commit, changes, request)

    def refusal(self, path: str) -> str | None:
        """Say why this task may not write `path`; None when it may.

        What the repository protects nobody may touch, whatever the plan says.
        """
        try:
            (check_path if path in self.files else check_new_path)(path)
        except UnsafePath as error:
            return str(error)
        said = self.request.repository
        if said is not None and (pattern := said.protection(path)) is not None:
            return f"path {path!r} is protected: the repository's settings name {pattern!r}"
        if any(covers(pattern, path) for pattern in self.request.writable) and not is_reserved(path):
            return None
        allowed = ", ".join(self.request.writable) or "no file at all"
        return f"path {path!r} is not one this task may write; it may write: {allowed}"

    def check_writable(self, path: str) -> str:
        """Return `path`. Raises AgentFailure (path_not_allowed) when the task may not write it."""
        reason = self.refusal(path)
        if reason is not None:
            raise AgentFailure(reason, code="path_not_allowed")
        return path
