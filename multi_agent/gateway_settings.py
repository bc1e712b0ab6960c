"""What the gateway is told by the environment: a part of the settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class GatewaySettings(BaseModel):
    """The settings for `gateway`."""

    gateway_host: str = Field(
        default="127.0.0.1", description="where `gateway` listens; elsewhere than here only with keys"
    )
    gateway_port: int = Field(default=8040, ge=0, le=65535, description="its port; 0 for any that is free")
    gateway_keys: Path | None = Field(
        default=None, description="file of the keys that its callers show; without it none is asked for"
    )
    gateway_map: str | None = Field(
        default=None,
        description="whose model answers for which names: `PATTERN=SERVICE:MODEL`, with commas between",
    )
    gateway_big: str | None = Field(default=None, description="SERVICE:MODEL for names with `opus`")
    gateway_middle: str | None = Field(default=None, description="SERVICE:MODEL for names with `sonnet`")
    gateway_small: str | None = Field(default=None, description="SERVICE:MODEL for names with `haiku`")
    gateway_tries: int = Field(
        default=2,
        ge=1,
        le=10,
        description="how often it asks a model, within five seconds, before it asks the next of a list",
    )
    gateway_log_mb: int = Field(
        default=200, ge=0, description="size of its request log, in 1,000,000 bytes; 0 for none"
    )
    gateway_log_days: float = Field(default=30.0, gt=0, description="how long its request log goes back")
    gateway_log_bodies: bool = Field(
        default=False, description="whether its request log has requests and answers too"
    )
