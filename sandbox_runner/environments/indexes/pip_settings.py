"""The user's own settings of pip: which indexes, with what passwords, and by which way."""

from __future__ import annotations

import json
import netrc
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from urllib3.util import make_headers

from contracts.base.errors import EnvironmentFailed
from sandbox_runner.environments.indexes.network import by_proxies, no_proxies
from sandbox_runner.environments.indexes.sources import (
    IndexRefused,
    IndexSource,
    origin,
    shown,
    without_password,
)
from sandbox_runner.environments.indexes.upstream import NetworkWay
from sandbox_runner.environments.interpreters import Interpreter
from sandbox_runner.environments.steps import run_outside

_SECTIONS: Final = ("global", "download", ":env:")
_PLACES: Final = ("index-url", "extra-index-url", "find-links", "constraint")
"""Settings that hold addresses."""
_KEPT: Final = ("no-index", "pre", "prefer-binary", "uploaded-prior-to")
"""Further settings that pip may see: they hold no password, and steer nothing that is asked of it."""
_PUBLIC: Final = "https://pypi.org/simple"
_SECONDS: Final = 60.0
# Read by the user's own pip, which knows where its settings are. They are not printed anywhere else.
_READ: Final = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pip._internal.configuration import Configuration
found = Configuration(isolated=False)
found.load()
print("\\n" + json.dumps(dict(found.items())))
"""


@dataclass(frozen=True, slots=True)
class PipSettings:
    """What pip is told, where each place is a source of the proxy or stays as it is."""

    sources: tuple[IndexSource, ...]
    places: Mapping[str, tuple[str | int, ...]]
    """Setting -> what it holds: the number of a source, or what is not asked by HTTP."""
    kept: Mapping[str, str]
    way: NetworkWay


async def read_pip_settings(
    interpreter: Interpreter, pip: Path, folder: Path, variables: Mapping[str, str]
) -> PipSettings:
    """Read them. Raises EnvironmentFailed."""
    argv = (str(interpreter.path), "-I", "-c", _READ, str(pip))
    code, output = await run_outside(argv, folder=folder, variables=variables, seconds=_SECONDS)
    try:
        loaded = json.loads(output.splitlines()[-1]) if code == 0 else None
    except (ValueError, IndexError):
        loaded = None
    if not isinstance(loaded, dict):
        raise EnvironmentFailed(
            "environment, step fetch: pip's settings cannot be read; look at what `pip config list` says"
        )
    found: dict[str, str] = {}
    for section in _SECTIONS:
        prefix = f"{section}."
        found |= {
            key[len(prefix) :]: str(value)
            for key, value in loaded.items()
            if key.startswith(prefix) and value
        }
    return await _of(found, folder, variables)


async def _of(found: Mapping[str, str], folder: Path, variables: Mapping[str, str]) -> PipSettings:
    own = {name: found[name].split() for name in _PLACES if name in found}
    own.setdefault("index-url", [_PUBLIC])
    if "no-index" in found and found["no-index"].lower() not in {"0", "no", "false", "off"}:
        own = {name: value for name, value in own.items() if not name.endswith("index-url")}
    sources: list[IndexSource] = []
    places: dict[str, tuple[str | int, ...]] = {}
    for name, values in own.items():
        numbers: list[str | int] = []
        for value in values:
            if value.startswith(("http://", "https://")):
                numbers.append(len(sources))
                sources.append(await _source(value, found, folder, variables))
            else:
                numbers.append(value)
        places[name] = tuple(numbers)
    kept = {name: found[name] for name in _KEPT if name in found}
    return PipSettings(tuple(sources), places, kept, _way(found, variables))


async def _source(
    value: str, found: Mapping[str, str], folder: Path, variables: Mapping[str, str]
) -> IndexSource:
    address, user, password = without_password(value)
    try:
        own = origin(address)
    except IndexRefused as error:
        raise EnvironmentFailed(f"environment, step fetch: pip's settings: {error}") from None
    if user and password is None:
        password = await _asked_of_keyring(
            address, user, found.get("keyring-provider", ""), folder, variables
        )
    header = _basic(user, password or "") if user else ""
    passwords = _netrc(variables)

    def authorization(asked: str) -> str:
        there = origin(asked)
        if header and there == own:
            return header
        known = passwords.authenticators(there.host) if passwords else None
        return _basic(known[0] or known[1] or "", known[2] or "") if known else ""

    return IndexSource(address, authorization)


async def _asked_of_keyring(
    address: str, user: str, provider: str, folder: Path, variables: Mapping[str, str]
) -> str | None:
    """The password of a user that the keyring holds, where pip's settings say that it may be asked."""
    if provider not in {"import", "subprocess"}:
        return None
    for service in (address, origin(address).host):
        argv = ("keyring", "get", service, user)
        try:
            code, said = await run_outside(argv, folder=folder, variables=variables, seconds=_SECONDS)
        except OSError:
            break
        if code == 0 and said.strip():
            return said.decode("utf-8", "replace").strip("\r\n")
    raise EnvironmentFailed(
        f"environment, step fetch: `keyring get` knows no password of {user[:40]!r} for {shown(address)}"
    )


def _way(found: Mapping[str, str], variables: Mapping[str, str]) -> NetworkWay:
    one = found.get("proxy", "")
    authorities = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
    given = [found.get("cert", ""), *(variables.get(name, "") for name in authorities)]
    return NetworkWay(
        authorities=os.path.expanduser(next(filter(None, given), "")),
        client_certificate=os.path.expanduser(found.get("client-cert", "")),
        proxies={"http": one, "https": one} if one else by_proxies(variables),
        without_proxy=no_proxies(variables),
        unverified=frozenset(found.get("trusted-host", "").split()),
        seconds=_number(found.get("timeout") or found.get("default-timeout")),
    )


def _netrc(variables: Mapping[str, str]) -> netrc.netrc | None:
    home = Path(variables.get("HOME", os.sep))
    own = variables.get("NETRC")
    for path in [Path(own)] if own else [home / ".netrc", home / "_netrc"]:
        try:
            return netrc.netrc(str(path))
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
            continue
    return None


def _basic(user: str, password: str) -> str:
    return make_headers(basic_auth=f"{user}:{password}")["authorization"]


def _number(text: str | None) -> float:
    try:
        return min(max(float(text or 60), 1.0), 600.0)
    except ValueError:
        return 60.0
