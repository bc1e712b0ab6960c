"""The agent that many programs have, as an arm: generate, run, fix, and at most five times."""

from __future__ import annotations

from typing import Final

from pydantic import Field, TypeAdapter, ValidationError

from contracts.base.errors import UnsafePath
from contracts.base.model import Model, PathText
from contracts.ports.model import ModelClient, ModelMessage, ModelRequest
from contracts.ports.sandbox import Sandbox, SandboxRequest, SandboxResult, Verdict
from multi_agent.rollout.records import ArmAnswer

MOST_ROUNDS: Final = 5
_MOST_OUTPUT: Final = 4_000
_SYSTEM: Final = (
    "You write Python. Answer a request with all files of a program and with tests for pytest that show that "
    "it does what was asked. When the tests fail you are shown what they print; answer with all files again."
)


class _File(Model):
    """One file."""

    path: PathText = Field(description="relative, with forward slashes")
    content: str


class _Files(Model):
    """All files."""

    files: tuple[_File, ...] = Field(min_length=1, max_length=50)


_ANSWER: Final = TypeAdapter(_Files)


class LegacyLoop:
    """Asks one model, runs its tests in a sandbox, and shows it what failed. `run` is the arm."""

    def __init__(self, model: ModelClient, sandbox: Sandbox, *, most_rounds: int = MOST_ROUNDS) -> None:
        self._model = model
        self._sandbox = sandbox
        self._most_rounds = most_rounds

    async def run(self, request: str) -> ArmAnswer:
        """The files, path -> text, of the last round; a success when their tests passed.

        Raises ModelUnavailable, ModelRejected and SandboxUnavailable for what is away.
        """
        turns = [ModelMessage("user", request)]
        cost, files = 0.0, dict[str, str]()
        for number in range(1, self._most_rounds + 1):
            answered = await self._model.complete(
                ModelRequest("legacy.write", _SYSTEM, tuple(turns), _ANSWER.json_schema())
            )
            cost += answered.cost_usd
            try:
                found = _ANSWER.validate_json(answered.text)
                files = {one.path: one.content for one in found.files}
                ended = await self._run_tests(files)
            except (ValidationError, UnsafePath) as error:
                said = f"The answer cannot be used: {str(error)[:_MOST_OUTPUT]}"
            else:
                if ended.verdict is Verdict.OK:
                    return ArmAnswer(files, True, number, cost)
                said = f"The tests failed ({ended.verdict}):\n{_shown(ended)}"
            turns += [ModelMessage("model", answered.text), ModelMessage("user", said)]
        return ArmAnswer(files, False, self._most_rounds, cost)

    async def _run_tests(self, files: dict[str, str]) -> SandboxResult:
        given = {path: content.encode("utf-8", "replace") for path, content in files.items()}
        return await self._sandbox.run(SandboxRequest(("python", "-m", "pytest", "-q"), given))


def _shown(ended: SandboxResult) -> str:
    return (ended.stdout + ended.stderr)[-_MOST_OUTPUT:].decode("utf-8", "replace")
