"""What the environment says of limits and prices of models: a part of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field


class LayerSettings(BaseModel):
    """The settings of what stands around every model."""

    requests_per_minute: int | None = Field(
        default=None, gt=0, le=1_000_000, description="requests to each model; see [limits](models.md#limits)"
    )
    tokens_per_minute: int | None = Field(
        default=None, gt=0, le=10**12, description="tokens of each model, in and out together"
    )
    rates_of: Literal["worker", "team"] = Field(
        default="worker",
        description="whose requests and tokens are counted together: of one `worker`, with all its "
        "processes, or of the whole `team` that uses one Redis",
    )
    model_cache: Path | None = Field(
        default=None,
        description="folder where answers are kept for the same request of another run; see "
        "[repeated requests](models.md#repeated-requests)",
    )
    model_cache_hours: float = Field(default=168.0, gt=0, description="how long they are kept")
    model_cache_mb: int = Field(default=500, ge=1, description="how much; the oldest go")
    model_cache_without: str = Field(
        default="", description="roles that always ask anew, with commas between, such as `tester,reviewer`"
    )
    input_price: float | None = Field(
        default=None,
        ge=0,
        description="USD per million input tokens; without it as [listed](models.md#prices), or unknown",
    )
    output_price: float | None = Field(default=None, ge=0, description="USD per million output tokens")
    cached_input_price: float | None = Field(
        default=None,
        ge=0,
        description="USD per million input tokens that the service had cached; without it as the others",
    )
