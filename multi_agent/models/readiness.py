"""Says before anything starts that the model cannot answer."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.base.errors import NotConfigured
from contracts.ports.model import ModelRequest
from multi_agent.models.build import check_service
from multi_agent.models.recordings.recording import SHIPPED, load_recording, recording_files
from multi_agent.models.recordings.replay import Replay
from multi_agent.models.specification import ModelSettings


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user wants of the model."""

    request: ModelRequest | None
    """The first one to be sent; None for one that nobody recorded."""
    command: str
    """What the user typed, as it can be typed again, without a choice of the model."""


async def check_model(settings: ModelSettings, *, is_chosen: bool, asked: Asked | None) -> tuple[str, ...]:
    """Check the model's name, its key, and whether its service answers.

    What is wrong with some models of a list is returned, one line each.

    is_chosen: whether the user said which model to use.
    asked: None where it is not known yet what the model will be asked.
    Raises NotConfigured, and ModelUnavailable when the service is away now.
    """
    if asked is not None and not is_chosen:
        replay = Replay([*settings.replay_dirs, SHIPPED])
        if asked.request is None or not replay.knows(asked.request):
            raise NotConfigured(_no_model(asked.command))
    return await check_service(settings)


def _no_model(command: str) -> str:
    recorded = [load_recording(path).title for path in recording_files(SHIPPED)]
    return "\n".join(
        [
            "no model is set, and only recorded requests can do without:",
            *(f"  {title}" for title in recorded),
            "For a request of your own set one, in one of four ways:",
            f"  GEMINI_API_KEY=... {command}",
            f"  ANTHROPIC_API_KEY=... {command} --model anthropic:NAME",
            f"  OPENAI_BASE_URL=http://127.0.0.1:11434/v1 {command} --model openai:NAME"
            "  # or OPENAI_API_KEY=...",
            f"  {command} --model manual:chat  # you are the model: prompts appear in the folder chat",
        ]
    )
