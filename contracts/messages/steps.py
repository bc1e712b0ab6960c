"""What agents that work in steps tell whoever looks on. It is not stored, and nothing depends on it."""

from __future__ import annotations

from pydantic import Field

from contracts.base.model import Entries, Model


class CallTaken(Model):
    """A call of a tool."""

    tool: str = Field(max_length=100)
    target: str = Field(default="", max_length=200, description="path, command or pattern, cut")
    refused: bool = False


class StepTaken(Model):
    """A step of an agent is done."""

    role: str = Field(max_length=100)
    number: int = Field(ge=1)
    most: int = Field(ge=1, description="steps that it may take")
    calls: Entries[CallTaken] = Field(default=(), max_length=8)
    note: str = Field(default="", max_length=300, description="why nothing could be done")
