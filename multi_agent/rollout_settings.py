"""What a rollout is told by the environment: a part of the settings."""

from __future__ import annotations

from pydantic import AliasChoices, BaseModel, Field, SecretStr


class RolloutSettings(BaseModel):
    """The settings for `rollout serve`, and for programs with a TrafficSplitter."""

    rollout_url: str | None = Field(
        default=None,
        description="where a program's TrafficSplitter finds `rollout serve`; without it only what overrides "
        "the flag counts",
    )
    rollout_token: SecretStr | None = Field(
        default=None, description="what programs show `rollout serve`; needed to listen elsewhere than here"
    )
    rollout_host: str = Field(default="127.0.0.1", description="where `rollout serve` listens")
    rollout_port: int = Field(default=8050, ge=0, le=65535, description="its port; 0 for any that is free")
    enable_multi_agent: bool | None = Field(
        default=None,
        validation_alias=AliasChoices("ENABLE_MULTI_AGENT"),
        description="false sends none of a program's traffic to multi-agent, whatever the flag says",
    )
    traffic_percent: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="percent of a program's traffic for multi-agent instead of the flag's; a rollback wins",
    )
