"""Recorded model exchanges as readable files: one JSON file per recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from contracts.base.errors import NotConfigured
from contracts.base.model import Document, Model
from contracts.ports.content import ContentBlock
from contracts.ports.model import ModelRequest, ModelResponse
from contracts.ports.request_hash import request_hash
from contracts.ports.text_form import in_text

SHIPPED: Final = Path(__file__).parent


class Exchange(Model):
    """A request and its answer."""

    purpose: str
    request_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    model: str = ""
    """The model that answered, "" for the model of the recording."""
    response_text: str | None = None
    """The answer, unless it is in `response_lines`."""
    response_lines: tuple[str, ...] | None = None
    """The lines of the answer, unless it is in `response_text`."""
    response_blocks: tuple[ContentBlock, ...] = ()
    """The answer, where it has calls of tools."""
    response_end: Literal["", "length", "malformed"] = ""
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cached_input_tokens: int = Field(default=0, ge=0)
    cost_usd: float = Field(default=0.0, ge=0)
    request_lines: tuple[str, ...] = ()
    """The request as readable text. It shows what changed when a replay finds no answer."""

    @model_validator(mode="after")
    def _one_answer(self) -> Exchange:
        if (self.response_text is None) == (self.response_lines is None):
            raise ValueError("give either response_text or response_lines")
        return self

    def response(self) -> ModelResponse:
        """The answer, which named its model."""
        lines = self.response_lines or ()
        return ModelResponse(
            text="\n".join(lines) if self.response_text is None else self.response_text,
            model=self.model,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_usd=self.cost_usd,
            cached_input_tokens=self.cached_input_tokens,
            blocks=self.response_blocks,
            end=self.response_end,
        )


class Recording(Document):
    """The exchanges of one scenario."""

    title: str
    recorded_by: str
    recorded_at: str
    """RFC 3339, in UTC."""
    model: str
    """The model of the exchanges that name none."""
    exchanges: tuple[Exchange, ...] = ()


def exchange_of(request: ModelRequest, response: ModelResponse) -> Exchange:
    """Make an exchange. An answer of several lines is stored as lines, so that diffs show changes."""
    lines = tuple(response.text.split("\n"))
    return Exchange(
        purpose=request.purpose,
        request_hash=request_hash(request),
        model=response.model,
        response_text=response.text if len(lines) == 1 else None,
        response_lines=lines if len(lines) > 1 else None,
        response_blocks=response.blocks,
        response_end=response.end,
        input_tokens=response.input_tokens,
        output_tokens=response.output_tokens,
        cached_input_tokens=response.cached_input_tokens,
        cost_usd=response.cost_usd,
        request_lines=tuple(request_text(request).split("\n")),
    )


def request_text(request: ModelRequest) -> str:
    """Format a whole request as readable text, tools described in words."""
    request = in_text(request)
    parts = [
        f"purpose: {request.purpose}\n"
        f"temperature: {float(request.temperature)}\n"
        f"max_output_tokens: {request.max_output_tokens}"
    ]
    if request.system:
        parts.append(f"# system\n\n{request.system}")
    parts += [f"# {message.role}\n\n{message.text}" for message in request.messages]
    if request.response_schema is not None:
        schema = json.dumps(request.response_schema, default=dict, indent=2, sort_keys=True)
        parts.append(f"# answer: one JSON document that satisfies this JSON Schema\n\n{schema}")
    return "\n\n".join(parts)


def recording_files(folder: Path) -> list[Path]:
    """List the recordings in a folder, sorted by name. Raises NotConfigured when there is no such folder."""
    if not folder.is_dir():
        raise NotConfigured(
            f"there is no folder of model recordings at {folder}: create it, or name another one"
        )
    return sorted(folder.glob("*.json"))


def load_recording(path: Path) -> Recording:
    """Read a recording. Raises NotConfigured for a file that cannot be read or is not a recording."""
    try:
        return Recording.model_validate_json(path.read_bytes())
    except OSError as error:
        raise NotConfigured(f"model recording {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the document"
        raise NotConfigured(f"model recording {path} is not valid: {where}: {first['msg']}") from None
