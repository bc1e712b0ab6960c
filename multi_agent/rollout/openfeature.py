"""The flag through OpenFeature: ours as a provider, and any provider's as ours. An extra, `rollout`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from multi_agent.rollout.assignment import Flag, State, assigned, key_hash
from multi_agent.rollout.flags import FlagSource

PERCENT_FLAG: Final = "multi-agent-traffic-percent"
"""An integer: the share of keys that multi-agent answers; its metadata has the rest of the flag."""
ENABLED_FLAG: Final = "enable-multi-agent"
"""A boolean: whether multi-agent answers the context's targeting key."""

_STATES: Final[Mapping[object, State]] = {one: one for one in ("none", "running", "completed", "rolled_back")}
_Value = TypeVar("_Value")


class RolloutProvider(AbstractProvider):
    """A provider of the two flags, from memory. Any other flag is FLAG_NOT_FOUND."""

    def __init__(self, source: FlagSource) -> None:
        super().__init__()
        self._source = source

    def get_metadata(self) -> Metadata:
        return Metadata(name="multi-agent")

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        if flag_key != PERCENT_FLAG:
            return _unknown(flag_key, default_value)
        flag = self._source.flag()
        return FlagResolutionDetails(flag.percent, reason=Reason.CACHED, flag_metadata=_metadata(flag))

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        if flag_key != ENABLED_FLAG:
            return _unknown(flag_key, default_value)
        key = evaluation_context.targeting_key if evaluation_context else None
        if key is None:
            return FlagResolutionDetails(default_value, error_code=ErrorCode.TARGETING_KEY_MISSING)
        flag = self._source.flag()
        answers = assigned(flag, key_hash(flag.rollout, key)) == "multi_agent"
        return FlagResolutionDetails(answers, reason=Reason.SPLIT, flag_metadata=_metadata(flag))

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return _unknown(flag_key, default_value)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return _unknown(flag_key, default_value)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        return _unknown(flag_key, default_value)


@dataclass(frozen=True, slots=True)
class OpenFeatureFlag:
    """The flag that a client's provider has: ours, or any that serves a percentage as an integer."""

    client: OpenFeatureClient
    name: str = PERCENT_FLAG

    def flag(self) -> Flag:
        """See FlagSource; without an answer nobody is sent to multi-agent."""
        found = self.client.get_integer_details(self.name, 0)
        more = found.flag_metadata
        percent = min(max(found.value, 0), 100)
        return Flag(
            percent,
            min(_whole(more.get("shadow")), 100 - percent),
            str(more.get("rollout", "")),
            _whole(more.get("stage")),
            _STATES.get(more.get("state"), "none"),
        )


def _metadata(flag: Flag) -> dict[str, bool | int | float | str]:
    return {"shadow": flag.shadow, "rollout": flag.rollout, "stage": flag.stage, "state": flag.state}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _unknown(name: str, default: _Value) -> FlagResolutionDetails[_Value]:
    return FlagResolutionDetails(
        default, error_code=ErrorCode.FLAG_NOT_FOUND, error_message=f"there is no flag {name!r}"
    )
