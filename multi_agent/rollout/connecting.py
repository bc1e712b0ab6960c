"""The flag and the recorder that the settings name."""

from __future__ import annotations

from contracts.messages.rollout import RolloutRecord
from multi_agent.rollout.flags import FixedFlag, FlagSource, Overridden
from multi_agent.rollout.link import RolloutLink
from multi_agent.settings import Settings, load_settings


class NoRecords:
    """Keeps nothing, for a program without a rollout."""

    def record(self, record: RolloutRecord) -> None:
        """See OutcomeRecorder."""

    def close(self) -> None:
        """Nothing is open."""


def connect(settings: Settings | None = None) -> tuple[FlagSource, RolloutLink | NoRecords]:
    """Where the flag comes from and where records go. Raises NotConfigured.

    Waits for the first flag for a second at most. Without MULTI_AGENT_ROLLOUT_URL the override alone counts.
    """
    known = settings or load_settings()
    link: RolloutLink | None = None
    if known.rollout_url:
        token = known.rollout_token
        link = RolloutLink(known.rollout_url, token.get_secret_value() if token else None)
    override = known.enable_multi_agent, known.traffic_percent
    return Overridden(link or FixedFlag(), *override), link or NoRecords()
