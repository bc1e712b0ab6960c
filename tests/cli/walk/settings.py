"""What can be wrong with each setting, generated from the settings' model."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr

from multi_agent.settings import Settings, variable_of
from tests.cli.walk.template import AWAY


class Wrong(NamedTuple):
    """A setting with a value that it cannot have."""

    field: str
    variable: str
    kind: str
    value: str
    words: tuple[str, ...]
    """One of these is in what the user reads, where the command uses the setting."""
    others: Mapping[str, str] = {}
    """Further settings, without which this one is not used."""

    @property
    def refused(self) -> bool:
        """Whether every command that reads settings refuses it."""
        return self.kind in {"type", "range"}

    def __str__(self) -> str:
        return f"{self.variable}={self.value!r}"


class _Text(NamedTuple):
    """What a text can be that is no use."""

    values: Mapping[str, str]
    words: tuple[str, ...] = ()
    others: Mapping[str, str] = {}


_OPENAI = {"MULTI_AGENT_MODEL": "openai:x", "OPENAI_BASE_URL": f"http://{AWAY}/v1"}
_ANTHROPIC = {"MULTI_AGENT_MODEL": "anthropic:x", "ANTHROPIC_BASE_URL": f"http://{AWAY}"}
_GEMINI = {
    "MULTI_AGENT_MODEL": "gemini:x",
    "GEMINI_API_KEY": "k",
    "MULTI_AGENT_GEMINI_BASE_URL": f"http://{AWAY}",
}
TEXTS: Mapping[str, _Text] = {
    "redis_url": _Text(
        {"form": "nonsense", "unreachable": f"redis://{AWAY}/0", "tls": f"rediss://{AWAY}/0?ssl_cert_reqs=x"},
        ("Redis",),
    ),
    "database_url": _Text(
        {
            "form": "nonsense",
            "unreachable": f"postgresql://nobody@{AWAY}/none",
            "unwritable": "sqlite:////proc/none/state.db",
        },
        ("database", "PostgreSQL", "/proc/none"),
    ),
    "artifact_store": _Text(
        {
            "form": "nonsense://x",
            "unreachable": f"git://{AWAY}/x.git",
            "unwritable": "/proc/none/artifacts.git",
            "file": "plan.json",
        },
        ("artifact store", "/proc/none"),
    ),
    "audit_hook": _Text({"form": "ftp://host"}, ("an address begins with http",)),
    "model": _Text(
        {"form": "nonsense", "unwritable": "manual:/proc/none", "absent": "openai:"}, ("model", "/proc/none")
    ),
    "gemini_api_key": _Text({"unreachable": "k"}, ("model", "gemini"), _GEMINI),
    "gemini_base_url": _Text(
        {"form": "nonsense", "unreachable": f"http://{AWAY}"}, ("model", "gemini"), _GEMINI
    ),
    "openai_api_key": _Text({"unreachable": "k"}, ("model", "openai"), _OPENAI),
    "openai_base_url": _Text(
        {"form": "nonsense", "unreachable": f"http://{AWAY}/v1"}, ("model", "openai"), _OPENAI
    ),
    "anthropic_api_key": _Text({"unreachable": "k"}, ("model", "anthropic"), _ANTHROPIC),
    "anthropic_base_url": _Text(
        {"form": "nonsense", "unreachable": f"http://{AWAY}"}, ("model", "anthropic"), _ANTHROPIC
    ),
    "sandbox": _Text(
        {"form": "nonsense", "unreachable": "docker"}, ("sandbox",), {"DOCKER_HOST": f"tcp://{AWAY}"}
    ),
    "host_sandbox": _Text({"form": "nonsense"}, ("sandbox",), {"MULTI_AGENT_SANDBOX": "host"}),
    "sandbox_image": _Text({"form": "non sense"}, ("sandbox", "image"), {"MULTI_AGENT_SANDBOX": "docker"}),
    "sandbox_runtime": _Text(
        {"form": "non sense"}, ("sandbox", "runtime"), {"MULTI_AGENT_SANDBOX": "docker"}
    ),
    "docker_host": _Text(
        {"form": "nonsense", "unreachable": f"tcp://{AWAY}"},
        ("sandbox", "engine"),
        {"MULTI_AGENT_SANDBOX": "docker"},
    ),
    "github_token": _Text({"form": "no token"}, ("GH_TOKEN",)),
    "github_enterprise_token": _Text({"form": "no token"}, ("GH_ENTERPRISE_TOKEN",)),
    "gitlab_token": _Text({"form": "no token"}, ("GITLAB_TOKEN",)),
    "otlp_endpoint": _Text({"form": "nonsense", "unreachable": f"http://{AWAY}"}, ("traces",)),
    "otlp_headers": _Text({"form": "nonsense"}),
    "forges": _Text({"form": "nonsense"}, ("MULTI_AGENT_FORGES",)),
    "role_budgets": _Text({"form": "nonsense"}, ("MULTI_AGENT_ROLE_BUDGETS",)),
    "environment": _Text({"absent": "/nonexistent", "file": "plan.json"}, ("environment",)),
    "metrics_host": _Text(
        {"form": "x" * 70, "unreachable": "203.0.113.1"},
        ("metrics", "METRICS"),
        {"MULTI_AGENT_METRICS_PORT": "18997"},
    ),
    "gateway_host": _Text({"form": "x" * 70, "unreachable": "203.0.113.1"}, ("the gateway",), _OPENAI),
    "gateway_map": _Text({"form": "nonsense", "absent": "a=openai:"}, ("--map",), _OPENAI),
    "gateway_big": _Text({"form": "nonsense"}, ("the big model",), _OPENAI),
    "gateway_middle": _Text({"form": "nonsense"}, ("the middle model",), _OPENAI),
    "gateway_small": _Text({"form": "nonsense"}, ("the small model",), _OPENAI),
    "rollout_host": _Text({"form": "x" * 70, "unreachable": "203.0.113.1"}, ("the rollout",)),
    "rollout_url": _Text({"form": "nonsense"}),
    "rollout_token": _Text({"form": "no token"}),
    "model_cache_without": _Text(
        {"form": "no role!"}, ("MODEL_CACHE_WITHOUT",), _OPENAI | {"MULTI_AGENT_MODEL_CACHE": "kept"}
    ),
    "failpoints": _Text({"form": "nonsense"}),
    "search_path": _Text({"absent": "/nonexistent"}, ("PATH", "git")),
}
"""A new setting that is a text is put here."""
UNWRITABLE = {"unwritable": "/proc/none/x", "file": "plan.json"}


def wrong_settings() -> list[Wrong]:
    """Every setting in every way in which it can be wrong."""
    return [wrong for field in Settings.model_fields for wrong in _wrong(field)]


def _wrong(field: str) -> Iterator[Wrong]:
    info = Settings.model_fields[field]
    variable = variable_of(field)
    yield Wrong(field, variable, "empty", "", (variable,))
    kind = _plain_type(info.annotation)
    if kind in {int, float, bool, float | Literal["off"]}:
        yield Wrong(field, variable, "type", "many", (variable,))
        if kind is float:
            yield Wrong(field, variable, "range", "inf", (variable,))
        for bound in info.metadata:
            yield from (Wrong(field, variable, "range", text, (variable,)) for text in _beyond(bound))
    elif get_origin(kind) is Literal:
        yield Wrong(field, variable, "type", "nonsense", (variable,))
    elif kind is Path:
        for name, value in UNWRITABLE.items():
            yield Wrong(field, variable, name, value, (variable, value))
    else:
        assert kind in {str, SecretStr}, field
        text = TEXTS[field]
        for name, value in text.values.items():
            yield Wrong(field, variable, name, value, (variable, *text.words), text.others)


def _plain_type(annotation: Any) -> Any:
    if get_origin(annotation) in {Union, types.UnionType}:
        found = [one for one in get_args(annotation) if one is not type(None)]
        return found[0] if len(found) == 1 else Union[tuple(found)]  # noqa: UP007 - computed
    return annotation


def _beyond(bound: object) -> Iterator[str]:
    match bound:
        case Ge(ge=limit):
            yield f"{limit - 1}"  # type: ignore[operator]  # of numbers
        case Gt(gt=limit) | Lt(lt=limit):
            yield f"{limit}"
        case Le(le=limit):
            yield f"{limit + 1}"  # type: ignore[operator]  # of numbers
