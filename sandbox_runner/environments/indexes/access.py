"""How a program reaches the user's indexes: through the proxy, and knowing no password."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.base.errors import EnvironmentFailed
from sandbox_runner.environments.indexes.npm_settings import read_npm_settings
from sandbox_runner.environments.indexes.pip_settings import read_pip_settings
from sandbox_runner.environments.indexes.proxy import IndexProxy, serving_indexes
from sandbox_runner.environments.indexes.sources import IndexSource
from sandbox_runner.environments.indexes.upstream import NetworkWay
from sandbox_runner.environments.interpreters import Interpreter
from sandbox_runner.environments.steps import FOLDER_HELPS

CACHE: Final = ".npm-cache"
"""In the folder that npm works in; its addresses are of no use later."""
_SEEN: Final = ("HOME", "LANG", "PATH", "TMPDIR")
_PATIENCE: Final = 600
"""Seconds without a byte from the proxy, which has a whole page before it sends any of it."""


@dataclass(frozen=True, slots=True)
class IndexAccess:
    """A way to the indexes, for as long as one fetch."""

    variables: Mapping[str, str]
    """All that the program sees."""
    proxy: IndexProxy
    registries: Mapping[str, str]
    """npm's setting of each registry -> where it is asked."""

    def told(self, output: bytes) -> bytes:
        """What the program printed, with the addresses that its user knows."""
        return self.proxy.routes.told(output)


@asynccontextmanager
async def pip_access(
    interpreter: Interpreter, pip: Path, folder: Path, variables: Mapping[str, str]
) -> AsyncIterator[IndexAccess]:
    """A way for pip to what its user's settings name. Raises EnvironmentFailed, InvalidInput for these."""
    settings = await read_pip_settings(interpreter, pip, folder, variables)
    async with _served(settings.sources, settings.way) as proxy:
        seen = _seen(variables, proxy) | {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_RETRIES": "0",
            "PIP_TIMEOUT": str(_PATIENCE),
        }
        seen |= {_pip(name): value for name, value in settings.kept.items()}
        for name, values in settings.places.items():
            seen[_pip(name)] = " ".join(
                proxy.routes.local(value) if isinstance(value, int) else value for value in values
            )
        yield IndexAccess(seen, proxy, {})


@asynccontextmanager
async def npm_access(npm: str, folder: Path, variables: Mapping[str, str]) -> AsyncIterator[IndexAccess]:
    """The same for npm."""
    reading = {**variables, "npm_config_update_notifier": "false", "npm_config_cache": str(folder / CACHE)}
    settings = await read_npm_settings(npm, folder, reading)
    async with _served(settings.sources, settings.way) as proxy:
        registries = {name: proxy.routes.local(number) for number, name in enumerate(settings.names)}
        seen = _seen(variables, proxy) | {
            "npm_config_userconfig": os.devnull,
            "npm_config_globalconfig": str(folder / CACHE / "none"),
            "npm_config_cache": str(folder / CACHE),
            "npm_config_update_notifier": "false",
            "npm_config_replace_registry_host": "never",
            "npm_config_fetch_retries": "0",
            "npm_config_fetch_timeout": str(_PATIENCE * 1000),
        }
        seen |= {f"npm_config_{name.replace('-', '_')}": value for name, value in settings.kept.items()}
        seen |= {f"npm_config_{name}": address for name, address in registries.items()}
        yield IndexAccess(seen, proxy, registries)


def check_indexes(access: IndexAccess, program: str) -> None:
    """Raise EnvironmentFailed when what failed was refused something, or an index did not answer."""
    if problem := access.proxy.problem:
        raise EnvironmentFailed(
            f"environment, step fetch: {problem}; look at {program}'s settings of indexes, {FOLDER_HELPS}"
        )


@asynccontextmanager
async def _served(sources: Sequence[IndexSource], way: NetworkWay) -> AsyncIterator[IndexProxy]:
    with ExitStack() as stack:
        serving = serving_indexes(sources, way)
        proxy = await asyncio.to_thread(stack.enter_context, serving)
        try:
            yield proxy
        finally:
            await asyncio.shield(asyncio.to_thread(stack.close))


def _seen(variables: Mapping[str, str], proxy: IndexProxy) -> dict[str, str]:
    """Variables by which every host is behind the proxy, which refuses those it has no index of."""
    seen = {name: variables[name] for name in _SEEN if name in variables}
    seen |= {name: value for name, value in variables.items() if name.startswith("LC_")}
    for name in ("http_proxy", "https_proxy"):
        seen |= {name: proxy.base, name.upper(): proxy.base}
    return seen | {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}


def _pip(name: str) -> str:
    return f"PIP_{name.upper().replace('-', '_')}"
