"""Registering agents with a decorator, and discovering them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from types import ModuleType
from typing import Final, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from contracts.base.errors import NotConfigured
from contracts.base.model import Identifier
from contracts.documents.todo_list import RoleName
from contracts.messages.channels import Channels

ENTRY_POINT_GROUP: Final = "multi_agent.agents"
SHIPPED: Final = (
    "agents.roles.architect",
    "agents.roles.coder",
    "agents.roles.tester",
    "agents.roles.debugger",
    "agents.roles.reviewer",
)

_MARK: Final = "__agent_info__"
_HOSTS_ROLE: Final = "sandbox"
_ROLE: Final = TypeAdapter[str](RoleName)
_TAG: Final = TypeAdapter[str](Identifier)
_log = structlog.get_logger(__name__)

C = TypeVar("C", bound=type)


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """The tasks that a class is registered for.

    An agent without tags serves every task of its role. An agent with tags serves the tasks that ask for one
    of them. It also serves the tasks that ask for no tag when no agent without tags serves the role.
    """

    role: str
    tags: tuple[str, ...] = ()
    version: str = "1.0"
    short: bool = False
    """Whether it never takes long and never blocks its event loop, so that it may share a process."""


def agent(
    *, role: str, tags: Sequence[str] = (), version: str = "1.0", short: bool = False
) -> Callable[[C], C]:
    """Mark a class as the agent for a role. It only attaches the values; `discover` checks them.

    short: see AgentInfo. Any other agent gets a process of its own for each execution at once.
    """
    info = AgentInfo(role=role, tags=tuple(tags), version=version, short=short)

    def mark(cls: C) -> C:
        setattr(cls, _MARK, info)
        return cls

    return mark


def agent_info(cls: type) -> AgentInfo:
    """Return what `agent` attached to this class itself. Raises NotConfigured when it is not marked."""
    info = vars(cls).get(_MARK)
    if not isinstance(info, AgentInfo):
        raise NotConfigured(f"class {_name(cls)} is no agent: put @agent(role=...) above it")
    return info


def discover(modules: Sequence[str] = (), entry_points: bool = True) -> list[type]:
    """Return the shipped agents, those of the entry-point group `multi_agent.agents`, and those of `modules`.

    For one role and tag the later agent wins; an agent that is left with nothing to serve is dropped with a
    log line. Raises NotConfigured for a module that cannot be imported or contains no agent, and for a class
    that is not an agent.
    """
    found = [cls for name in SHIPPED for cls in _marked(_import(name))]
    if entry_points:
        for entry in sorted(metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
            found += _from_entry_point(entry)
    for name in modules:
        found += _from_module(name)
    return list(AgentTable.of(found).classes)


def _from_module(name: str) -> list[type]:
    marked = _marked(_import(name))
    if not marked:
        raise NotConfigured(
            f"agents module {name!r} holds no agent: mark at least one class with @agent(role=...)"
        )
    return marked


def _from_entry_point(entry: metadata.EntryPoint) -> list[type]:
    try:
        loaded = entry.load()
    except Exception as error:
        raise _not_importable(f"entry point {entry.name!r} = {entry.value!r}", error) from error
    if isinstance(loaded, ModuleType):
        return _from_module(loaded.__name__)
    if isinstance(loaded, type):
        agent_info(loaded)
        return [loaded]
    raise NotConfigured(f"entry point {entry.name!r} = {entry.value!r} names neither a class nor a module")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # a foreign module may raise anything
        raise _not_importable(f"agents module {name!r}", error) from error


def _not_importable(what: str, error: Exception) -> NotConfigured:
    return NotConfigured(
        f"{what} cannot be imported: {type(error).__name__}: {error}; "
        "install it beside multi-agent, or put its folder on PYTHONPATH"
    )


def _marked(module: ModuleType) -> list[type]:
    """Return the marked classes that the module, or for a package one of its submodules, defines."""
    own = (module.__name__, module.__name__ + ".")
    classes = [value for value in vars(module).values() if isinstance(value, type) and _MARK in vars(value)]
    kept = [cls for cls in classes if cls.__module__ == own[0] or cls.__module__.startswith(own[1])]
    return list(dict.fromkeys(kept))


def _checked(cls: type) -> AgentInfo:
    info = agent_info(cls)
    run = getattr(cls, "run", None)
    if not inspect.iscoroutinefunction(run):
        raise NotConfigured(f"agent {_name(cls)} needs a method 'async def run(self, task) -> AgentResult'")
    if info.role == _HOSTS_ROLE:
        raise NotConfigured(
            f"agent {_name(cls)}: the role {info.role!r} is that of sandbox hosts; name another"
        )
    for adapter, field_name, values in ((_ROLE, "role", (info.role,)), (_TAG, "tag", info.tags)):
        for value in values:
            _check_name(adapter, f"agent {_name(cls)}: {field_name} {value!r}", value)
    return info


def _check_name(adapter: TypeAdapter[str], what: str, value: str) -> None:
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        raise NotConfigured(f"{what} cannot be used: {error.errors(include_url=False)[0]['msg']}") from None


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


@dataclass(frozen=True, slots=True)
class AgentTable:
    """The class that serves each role and tag."""

    by_slot: dict[tuple[str, str | None], type] = field(default_factory=dict)
    """(role, tag or None) -> class."""

    @classmethod
    def of(cls, classes: Sequence[type], roles: Sequence[str] = ()) -> AgentTable:
        """Build the table; later classes win. `roles` keeps only those roles, () keeps all.

        Raises NotConfigured for a class that is not a valid agent, and for a role without an agent.
        """
        slots: dict[tuple[str, str | None], type] = {}
        fallback: dict[tuple[str, str | None], type] = {}
        for candidate in classes:
            info = _checked(candidate)
            if roles and info.role not in roles:
                continue
            for tag in info.tags or (None,):
                _place(slots, (info.role, tag), candidate)
            if info.tags:
                fallback[info.role, None] = candidate
        missing = [role for role in roles if role not in {role for role, _ in slots}]
        if missing:
            known = ", ".join(sorted({agent_info(candidate).role for candidate in classes})) or "none"
            raise NotConfigured(f"no agent serves the role {missing[0]!r}; roles with an agent: {known}")
        return cls({**fallback, **slots})

    def lasting(self, *, short: bool) -> AgentTable:
        """The part of the table whose agents are, or are not, short."""
        return AgentTable({slot: cls for slot, cls in self.by_slot.items() if agent_info(cls).short is short})

    @property
    def classes(self) -> tuple[type, ...]:
        return tuple(dict.fromkeys(self.by_slot.values()))

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(sorted({role for role, _ in self.by_slot}))

    @property
    def streams(self) -> tuple[str, ...]:
        """The request streams on which tasks for these agents arrive."""
        return tuple(sorted(Channels.requests(role, tag) for role, tag in self.by_slot))

    @property
    def suspects(self) -> tuple[str, ...]:
        """The streams on which tasks for these agents arrive that must run alone."""
        return tuple(sorted(Channels.suspects(role, tag) for role, tag in self.by_slot))

    def find(self, role: str, tag: str | None) -> type | None:
        """Return the agent for tasks of `role` that ask for `tag`, or for no tag when it is None."""
        return self.by_slot.get((role, tag))


def _place(slots: dict[tuple[str, str | None], type], slot: tuple[str, str | None], candidate: type) -> None:
    loser = slots.get(slot)
    if loser is not None and loser is not candidate:
        _log.info(
            "agent_replaced",
            role=slot[0],
            tag=slot[1],
            winner=_name(candidate),
            loser=_name(loser),
        )
    slots[slot] = candidate
