"""What the installation provides: names that a package offers and a part above it implements.

The lower packages may not import multi_agent, so they name an entry point of the group
`multi_agent.services`, which is loaded at run time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from contracts.base.errors import NotConfigured

SERVICES: Final = "multi_agent.services"


def load_service(name: str, group: str = SERVICES) -> Any:
    """Load the first entry point of that name in the group. Raises NotConfigured when there is none."""
    from importlib.metadata import entry_points  # noqa: PLC0415  # every process would load it with contracts

    found = next(iter(entry_points(group=group, name=name)), None)
    if found is None:
        raise NotConfigured(f"nothing provides {name!r} (an entry point of {group}); install multi-agent")
    return found.load()


def provided(package: str, *names: str) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package whose `names` are the entry points `<package>.<name>`."""

    def load(name: str) -> Any:
        if name in names:
            return load_service(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load
