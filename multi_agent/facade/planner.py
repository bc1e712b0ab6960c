"""The planner for callers without asyncio."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from contracts.base.errors import InvalidInput
from contracts.base.processes.loop_thread import LoopThread
from contracts.ports.model import ModelClient
from multi_agent.bootstrap import make_model, make_planner
from multi_agent.facade.options import settings_from
from planner_service.plan_file import write_plan
from planner_service.planning import Planner


class PlannerService:
    """Turns requests into plans and writes them where `Orchestrator` finds them.

    All work happens on one event loop in one thread of its own, since a model client's connections belong to
    the loop that opened them. `close`, or leaving the `with` block, closes the model client too.
    """

    def __init__(
        self,
        source: ModelClient | Planner | None = None,
        output_dir: Path | str | None = "plans",
        *,
        api_key: str | None = None,
        **options: Any,
    ) -> None:
        """Plans come from `source`, by default from the model of the settings.

        output_dir: the folder for `<todo_list_id>.json`; None writes no file.
        api_key: of the model's service, where the model is not given as `source`.
        Raises NotConfigured for a model that cannot be used.
        """
        if source is not None and (api_key is not None or options):
            given = "api_key" if api_key is not None else next(iter(options))
            raise InvalidInput(f"{given} is for the model of the settings; leave it out, or leave source out")
        self._planner = source if isinstance(source, Planner) else _planner(source, api_key, options)
        self._output_dir = None if output_dir is None else Path(output_dir)
        self._thread = LoopThread()
        self._closed = False

    def create_plan(self, text: str) -> dict[str, Any]:
        """A plan for the request as a JSON-ready dict: {"todo_list_id", "request", "items": [...]}.

        Raises what `Planner.plan` raises; InvalidInput for a folder that cannot be written.
        """
        if not isinstance(text, str):
            raise InvalidInput(f"the request is a {type(text).__name__}; say in words what to build")
        plan = self._thread.run(self._planner.plan(text))
        if self._output_dir is not None:
            write_plan(plan, self._output_dir)
        return plan.model_dump(mode="json")

    def close(self) -> None:
        """Close the model client and end the thread. Again is a no-op."""
        if not self._closed:
            self._closed = True
            self._thread.run(self._planner.close())
            self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _planner(model: ModelClient | None, api_key: str | None, options: dict[str, Any]) -> Planner:
    if model is not None:
        return Planner(model)
    settings = settings_from(options)
    if api_key is not None:
        service = "openai" if settings.model_spec.startswith("openai:") else "gemini"
        settings = settings_from({**options, f"{service}_api_key": api_key})
    return make_planner(settings, make_model(settings))
