"""Approvals: what a person allowed or refused, exactly, until when, and what used it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints

from contracts.base.model import Identifier, Model, PathText, ShortText
from contracts.documents.approval_policy import ApprovalPolicy, Risk
from contracts.documents.canonical_json import canonical_hash

MOST_COMMENT: Final = 2_000
MOST_ARGUMENTS: Final = 100_000
"""Characters of the arguments of a call that a person can be asked about."""
MOST_REFUSED: Final = 50
"""Actions that one task was refused and is told of."""

Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Comment = Annotated[str, StringConstraints(max_length=MOST_COMMENT)]
ApprovalState: TypeAlias = Literal["approved", "denied", "expired", "changed", "consumed", "unknown"]
"""`consumed` by a dispatch, of which it may be `unknown` what became; `expired`, `changed` before any use."""


class EarlierApproval(Model):
    """What became of the approval that was given before."""

    action_hash: Hash
    state: ApprovalState
    dispatch_id: Identifier | None = None


class Approval(Model):
    """A person's decision about one action: it carries at most one dispatch."""

    action_hash: Hash
    state: ApprovalState
    person: str
    comment: Comment = ""
    until: float = Field(default=0.0, description="seconds since 1970 when it can be used no more")
    dispatch_id: Identifier | None = Field(default=None, description="what used it")
    before: EarlierApproval | None = Field(default=None, description="part of what was approved")

    @property
    def earlier(self) -> EarlierApproval:
        """What a later action says of this one."""
        return EarlierApproval(action_hash=self.action_hash, state=self.state, dispatch_id=self.dispatch_id)


class WantedAction(Model):
    """A call of a tool that an agent may make only when a person allows exactly it."""

    tool: ShortText
    arguments: Annotated[str, StringConstraints(max_length=MOST_ARGUMENTS)] = Field(
        description="as the model wrote them"
    )
    tree: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="of the workspace before the call: every file's content, mode, and where links lead"
    )
    files: Mapping[PathText, Hash] = Field(
        default={}, description="SHA-256 of files that the call names, as it would read them"
    )
    environment: Annotated[str, StringConstraints(max_length=200)] = Field(
        default="", description="names what programs find beside the tree"
    )
    rule: ShortText
    risk: Risk = "medium"

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return canonical_hash(self.model_dump(mode="json"))


class Permits(Model):
    """What an agent may do of what a person must allow."""

    policy: ApprovalPolicy
    allowed: Hash | None = Field(
        default=None, description="digest of the one call that this dispatch may make"
    )
    refused: Mapping[Hash, Comment] = Field(
        default={}, description="why a person refused a call, by its digest"
    )
