"""The task that an agent receives, with access to the model and the sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from agents.sdk.base_tree import EMPTY, BaseTree, read_start
from agents.sdk.exchange_log import ExchangeLog
from agents.sdk.prompting import material
from agents.sdk.structured_output import Check, Dialogue
from contracts.base.errors import AgentFailure, SandboxUnavailable, UnsafePath
from contracts.base.failpoints import failpoint
from contracts.base.model import Document
from contracts.base.paths import check_new_path, check_path, covers
from contracts.base.refs import is_reserved
from contracts.documents.todo_list import TodoItem
from contracts.messages.payloads import TaskRequest
from contracts.ports.artifacts import CommitStore
from contracts.ports.model import ModelMessage, ModelRequest
from contracts.ports.sandbox import Sandbox, SandboxLimits, SandboxRequest, SandboxResult, Verdict

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
    commits: CommitStore | None = None

    @property
    def files(self) -> Mapping[str, bytes]:
        """path -> content of the tree that the task starts from: the merged outcomes of its dependencies."""
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
    def item(self) -> TodoItem:
        return self.request.item

    async def first_files(self) -> Mapping[str, bytes]:
        """Return path -> content of what the workflow started from; {} where it started from nothing.

        Raises ArtifactError, StoreUnavailable.
        """
        return await read_start(self.request, self.commits)

    async def ask(self, prompt: str, *materials: bytes | str, system: str = DEFAULT_SYSTEM) -> str:
        """Return the model's answer as text. Materials, such as files, are appended and marked as data.

        Raises ModelUnavailable, ModelRejected, ModelRefused, ReplayMiss.
        """
        text = "\n\n".join([prompt, *(material(part) for part in materials)])
        request = ModelRequest(f"{self.item.agent_role}.ask", system, (ModelMessage("user", text),))
        return (await self.exchanges.complete(request)).text

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

        A program that fails is a result, not an error. Raises SandboxUnavailable, also when the sandbox was
        ended from outside while the program ran, and UnsafePath for a path that may not be written.
        """
        tree = self.files if files is None else files
        limits = SandboxLimits().with_room_for(tree)
        if wall_seconds is not None:
            limits = replace(limits, wall_seconds=wall_seconds)
        failpoint("worker.before_sandbox")
        result = await self.sandbox.run(
            SandboxRequest(
                argv=tuple(argv),
                files=tree,
                read_only=tuple(read_only),
                stdin=stdin,
                collect=tuple(collect),
                limits=limits,
                labels={"workflow": self.workflow_id, "task": self.item.task_id},
            )
        )
        if result.verdict is Verdict.KILLED:
            # No program can reach the sandbox's process 1, so the program is not the cause.
            raise SandboxUnavailable(f"the sandbox {result.backend} was ended while the program ran")
        failpoint("worker.after_sandbox")
        return result

    def refusal(self, path: str) -> str | None:
        """Say why this task may not write `path`; None when it may."""
        try:
            (check_path if path in self.files else check_new_path)(path)
        except UnsafePath as error:
            return str(error)
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
