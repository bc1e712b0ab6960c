"""Which model answers for the name that a caller writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from contracts.base.errors import NotConfigured
from multi_agent.models.services import SERVICES
from multi_agent.models.wire.canonical import FormatName

ANY: Final = "*"
TIERS: Final = {"big": "opus", "middle": "sonnet", "small": "haiku"}
"""Sizes of models, and the word by which names of Anthropic's say them."""
FORMATS_OF: Final[Mapping[str, FormatName]] = {
    "anthropic": "anthropic",
    "openai": "chat",
    "openai-responses": "responses",
    "gemini": "gemini",
    "gemini-legacy": "gemini",
}
_NAME: Final = re.compile(r"[A-Za-z0-9._:@/+-]{1,200}")


@dataclass(frozen=True, slots=True)
class ModelAddress:
    """A model at a service."""

    service: str
    """A kind of `SERVICES`."""
    model: str
    """The service's name for it; in a route ANY for the name that the caller wrote."""

    def __str__(self) -> str:
        return f"{self.service}:{self.model}"


NOWHERE: Final = ModelAddress("", "")
"""Where a request is sent that is sent to nobody."""


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """A rule: names that match the pattern are answered by the model."""

    pattern: str
    to: tuple[ModelAddress, ...]
    """Each is asked where those before it cannot answer."""


@dataclass(frozen=True, slots=True)
class ModelRoutes:
    """All rules; the first that matches counts."""

    rules: tuple[ModelRoute, ...]

    def find(self, name: str) -> tuple[ModelAddress, ...]:
        """The models that answer for a name; none for no name of a model, or one that no rule knows."""
        if not is_model_name(name):
            return ()
        for rule in self.rules:
            if fnmatchcase(name, rule.pattern):
                named = (replace(to, model=name) if to.model == ANY else to for to in rule.to)
                return tuple(dict.fromkeys(named))
        return ()

    @property
    def services(self) -> tuple[str, ...]:
        """The kinds of services that may be asked, each once."""
        return tuple(dict.fromkeys(to.service for rule in self.rules for to in rule.to))

    @property
    def names(self) -> list[str]:
        """The names that callers can be told: one of each rule, but where a caller's own is passed on."""
        told = (
            rule.pattern.strip(ANY) or rule.to[0].model
            for rule in self.rules
            if rule.to[0].model != ANY or ANY not in rule.pattern
        )
        return list(dict.fromkeys(name for name in told if self.find(name)))


def make_routes(rules: Iterable[str], tiers: Mapping[str, str | None], default: str | None) -> ModelRoutes:
    """The rules that are set: patterns first, then sizes, then the model for every other name.

    rules: `PATTERN=SERVICE:MODEL` each, with `*` in the pattern for any characters; one without a pattern
    adds its model to the list of the one before.
    tiers: by size (`TIERS`), SERVICE:MODEL, or a list of them with commas between.
    Raises NotConfigured.
    """
    found = [_rule(rule) for rule in _lists(rules)]
    for size, word in TIERS.items():
        if spec := tiers.get(size):
            found.append(ModelRoute(f"*{word}*", _addresses(spec, f"the {size} model")))
    if default:
        found.append(ModelRoute(ANY, _addresses(default, "the model")))
    if not found:
        raise NotConfigured(
            "the gateway has no model: say which with --model SERVICE:MODEL, or --map PATTERN=SERVICE:MODEL"
        )
    return ModelRoutes(tuple(found))


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of some patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def is_model_name(name: str) -> bool:
    """Whether it can be the name of a model: it becomes a part of an address."""
    return bool(_NAME.fullmatch(name)) and ".." not in name


def _lists(rules: Iterable[str]) -> list[str]:
    """Each rule with all models of its list."""
    found: list[str] = []
    for rule in filter(None, map(str.strip, rules)):
        if "=" in rule or not found:
            found.append(rule)
        else:
            found[-1] += f",{rule}"
    return found


def _rule(rule: str) -> ModelRoute:
    pattern, equals, spec = rule.partition("=")
    if not equals or not pattern:
        raise NotConfigured(f"--map is {rule[:80]!r}; write it as PATTERN=SERVICE:MODEL")
    return ModelRoute(pattern.strip(), _addresses(spec, f"--map for {pattern[:80]!r}"))


def _addresses(spec: str, what: str) -> tuple[ModelAddress, ...]:
    found = tuple(_address(one, what) for one in spec.split(","))
    for number, address in enumerate(found):
        if address in found[:number]:
            raise NotConfigured(f"{what} has {str(address)!r} twice in {spec[:80]!r}; leave one out")
    return found


def _address(spec: str, what: str) -> ModelAddress:
    service, _, model = spec.strip().partition(":")
    if service not in SERVICES or not (model == ANY or is_model_name(model)):
        kinds = ", ".join(SERVICES)
        raise NotConfigured(
            f"{what} is {spec[:80]!r}, which cannot be asked; write SERVICE:MODEL with one of {kinds}, "
            "and * as the model for the name that the caller writes"
        )
    return ModelAddress(service, model)
