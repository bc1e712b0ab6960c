"""Messages between who has a workspace at a sandbox host and that host.

A request or answer is cut into parts, each a message: the next one is sent when the one before has arrived.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from contracts.base.model import Identifier, LongText, Model

BYTES_OF_PART: Final = 1_000_000
"""Of what is compressed already. A server keeps a few tens of them for one who listens."""
_MOST_PARTS: Final = 100
_Part = Annotated[int, Field(ge=0, lt=_MOST_PARTS)]
_Parts = Annotated[int, Field(ge=1, le=_MOST_PARTS)]


class WorkspaceOrder(Model):
    """What the holder of a workspace tells its host; each is a sign of life of the holder.

    Requests have numbers from 1 on. The next one says that the answer to the one before has arrived; a
    repeated one is answered again, and not done again.
    """

    workspace_id: Identifier
    key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="known to the holder and the host alone; the first request says it"
    )
    caller_id: Identifier = Field(description="names the channel that expects the answers")
    kind: Literal["request", "answer", "alive", "close"] = Field(
        description="a part of a request; asks for a part of the answer, when those before it have arrived; "
        "says nothing more; ends it"
    )
    number: int = Field(default=0, ge=0)
    part: _Part = 0
    parts: _Parts = 1
    body_base64: str = ""
    brief: bool | None = Field(
        default=None,
        description="whether the holder asks for no other workspace while it has this one; absent for no",
    )


class WorkspaceAnswer(Model):
    """What a host says to one order.

    `taken`: that part has arrived, and the next is expected. `working`: `reason` says at what, when it takes
    long. `answered`: with a part of the answer. `refused`: `error` says how, `reason` why. `unknown`: there
    is no such request. `full`: no more workspaces are opened now. `gone`: there is no such workspace.
    """

    workspace_id: Identifier
    host_id: Identifier
    number: int = Field(ge=0)
    state: Literal["taken", "working", "answered", "refused", "unknown", "full", "gone"]
    part: _Part = 0
    parts: _Parts = 1
    error: Annotated[str, StringConstraints(pattern=r"^[a-z_]*$", max_length=100)] = ""
    reason: LongText = ""
    body_base64: str = ""
