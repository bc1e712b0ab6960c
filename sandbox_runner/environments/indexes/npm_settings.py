"""The user's own settings of npm: which registries, with what passwords, and by which way."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from contracts.base.errors import EnvironmentFailed
from sandbox_runner.environments.indexes.network import by_proxies, no_proxies
from sandbox_runner.environments.indexes.sources import IndexRefused, IndexSource, origin, without_password
from sandbox_runner.environments.indexes.upstream import NetworkWay
from sandbox_runner.environments.steps import run_outside

_PUBLIC: Final = "https://registry.npmjs.org/"
_VARIABLE: Final = re.compile(r"(?<!\\)\$\{([^${}]+?)(\?)?\}")
_FILES: Final = ("globalconfig", "userconfig")
_KEPT: Final = (
    "legacy-peer-deps",
    "strict-peer-deps",
    "engine-strict",
    "omit",
    "include",
    "install-strategy",
)
"""Further settings that npm may see."""
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class NpmSettings:
    """What npm is told."""

    sources: tuple[IndexSource, ...]
    names: tuple[str, ...]
    """The setting of each source: `registry`, `@scope:registry`."""
    kept: Mapping[str, str]
    way: NetworkWay


async def read_npm_settings(npm: str, folder: Path, variables: Mapping[str, str]) -> NpmSettings:
    """Read them. Raises EnvironmentFailed."""
    argv = (npm, "config", "list", "--json", "--loglevel=silent")
    code, output = await run_outside(argv, folder=folder, variables=variables, seconds=_SECONDS)
    try:
        shown = json.loads(output) if code == 0 else None
    except (ValueError, RecursionError):
        shown = None
    if not isinstance(shown, dict):
        raise EnvironmentFailed(
            "environment, step fetch: npm's settings cannot be read; look at what `npm config list` says"
        )
    # npm shows no password, so what has one is read where it stands.
    found: dict[str, Any] = dict(shown)
    for name in _FILES:
        found |= _file(Path(str(shown.get(name) or "")), variables)
    found |= dict(_of_variables(variables))
    return _settings(found, variables)


def _settings(found: Mapping[str, Any], variables: Mapping[str, str]) -> NpmSettings:
    registries = {"registry": str(found.get("registry") or _PUBLIC)}
    registries |= {
        name: str(found[name]) for name in found if name.startswith("@") and name.endswith(":registry")
    }
    sources = []
    for name, value in registries.items():
        address = without_password(value if value.endswith("/") else f"{value}/")[0]
        try:
            origin(address)
        except IndexRefused as error:
            raise EnvironmentFailed(f"environment, step fetch: npm's setting {name}: {error}") from None
        sources.append(IndexSource(address, _Authorization(found, address)))
    kept = {name: _text(found[name]) for name in _KEPT if found.get(name)}
    return NpmSettings(tuple(sources), tuple(registries), kept, _way(found, variables))


class _Authorization:
    """The header for an address, by the settings of the folders above it, then by those of its registry."""

    def __init__(self, settings: Mapping[str, Any], registry: str) -> None:
        self._settings, self._registry = settings, registry

    def __call__(self, address: str) -> str:
        own = self._of(address)
        return own or (self._of(self._registry) if origin(address) == origin(self._registry) else "")

    def _of(self, address: str) -> str:
        parts = urlsplit(address)
        path = parts.path
        while True:
            for key in (f"//{parts.netloc}{path}", f"//{parts.netloc}{path.rstrip('/')}"):
                if header := self._header(f"{key}:"):
                    return header
            if not path.strip("/"):
                return ""
            path = path.rstrip("/").rpartition("/")[0] + "/"

    def _header(self, key: str) -> str:
        said = {
            name: str(self._settings.get(f"{key}{name}") or "")
            for name in ("_authToken", "_auth", "username", "_password")
        }
        if said["_authToken"]:
            return f"Bearer {said['_authToken']}"
        if said["_auth"]:
            return f"Basic {said['_auth']}"
        if said["username"] and said["_password"]:
            try:
                password = base64.b64decode(said["_password"])
            except (binascii.Error, ValueError):
                return ""
            return f"Basic {base64.b64encode(said['username'].encode() + b':' + password).decode()}"
        return ""


def _way(found: Mapping[str, Any], variables: Mapping[str, str]) -> NetworkWay:
    proxies = by_proxies(variables)
    if found.get("proxy"):
        proxies |= {"http": str(found["proxy"]), "https": str(found["proxy"])}
    if found.get("https-proxy"):
        proxies["https"] = str(found["https-proxy"])
    own = found.get("noproxy") or ""
    direct = ",".join(map(str, own)) if isinstance(own, list) else str(own)
    authorities = found.get("ca")
    given = "\n".join(map(str, authorities)) if isinstance(authorities, list) else str(authorities or "")
    strict = str(found.get("strict-ssl", True)).lower() != "false"
    return NetworkWay(
        authorities=os.path.expanduser(str(found.get("cafile") or "")),
        more_authorities=given.replace("\\n", "\n") or variables.get("NODE_EXTRA_CA_CERTS", ""),
        proxies=proxies,
        without_proxy=no_proxies({"no_proxy": direct}) or no_proxies(variables),
        unverified=frozenset() if strict else frozenset({"*"}),
    )


def _file(path: Path, variables: Mapping[str, str]) -> dict[str, str]:
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith((";", "#")):
            found[_filled(name.strip(), variables)] = _filled(value.strip().strip("\"'"), variables)
    return found


def _filled(text: str, variables: Mapping[str, str]) -> str:
    """The text with the variables that it names, as npm puts them in."""
    return _VARIABLE.sub(lambda one: variables.get(one[1], "" if one[2] else one[0]), text)


def _of_variables(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in variables.items():
        key = name[len("npm_config_") :] if name.lower().startswith("npm_config_") else ""
        if key and value:
            yield key if key.startswith("//") else re.sub(r"(?<!^)_", "-", key.lower()), value


def _text(value: object) -> str:
    if isinstance(value, list):
        return "\n\n".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
