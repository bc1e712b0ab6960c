"""Which server, project and issue an address names, and which kind of server is at a host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from contracts.base.errors import InvalidInput, NotConfigured

Kind = Literal["github", "gitlab"]
_KNOWN: Final[Mapping[str, Kind]] = {"github.com": "github", "gitlab.com": "gitlab"}
_LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_GITHUB_ISSUE: Final = re.compile(r"/([\w.-]+/[\w.-]+)/issues/([0-9]{1,18})/?")
_GITLAB_ISSUE: Final = re.compile(r"/((?:[\w.-]+/)+[\w.-]+)/-/(?:issues|work_items)/([0-9]{1,18})/?")
_PROJECT: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)+")
_SSH: Final = re.compile(r"(?:[^@/]+@)?([^:/@]+):(?!//)(.+)")


@dataclass(frozen=True, slots=True)
class Project:
    """A project at a server."""

    kind: Kind
    host: str
    """With its port, where it has one."""
    scheme: str
    name: str
    """Such as `owner/name`."""

    @property
    def api(self) -> str:
        """The address of the REST interface."""
        if self.host == "github.com":
            return "https://api.github.com"
        return f"{self.scheme}://{self.host}/api/{'v3' if self.kind == 'github' else 'v4'}"


def read_hosts(given: str | None) -> dict[str, Kind]:
    """The setting: `HOST=github` or `HOST=gitlab`, with commas between several. Raises NotConfigured."""
    hosts: dict[str, Kind] = dict(_KNOWN)
    for part in filter(None, (one.strip() for one in (given or "").split(","))):
        host, _, kind = part.partition("=")
        if not host or "/" in host or kind not in {"github", "gitlab"}:
            raise NotConfigured(
                f"MULTI_AGENT_FORGES is {(given or '')[:80]!r}; set it to HOST=github or HOST=gitlab, "
                "with commas between several"
            )
        hosts[host.lower()] = "github" if kind == "github" else "gitlab"
    return hosts


def issue_at(url: str, hosts: Mapping[str, Kind]) -> tuple[Project, int]:
    """The project and number of an issue by its address in a browser. Raises InvalidInput."""
    scheme, host, path = _parts(url, hosts)
    kind = hosts[host]
    pattern = _GITHUB_ISSUE if kind == "github" else _GITLAB_ISSUE
    found = pattern.fullmatch(path)
    if found is None:
        form = "OWNER/NAME/issues/NUMBER" if kind == "github" else "GROUP/NAME/-/issues/NUMBER"
        raise InvalidInput(f"issue {url!r}: is no address of an issue; use https://{host}/{form}")
    return Project(kind, host, scheme, found[1]), int(found[2])


def project_at(remote: str, hosts: Mapping[str, Kind]) -> Project:
    """The project of a Git remote: https or ssh. Raises InvalidInput."""
    if found := _SSH.fullmatch(remote):
        scheme, host, path = "https", found[1].lower(), found[2]
    elif remote.startswith("ssh://"):
        parts = urlsplit(remote)
        scheme, host, path = "https", (parts.hostname or "").lower(), parts.path
    else:
        scheme, host, path = _parts(remote, hosts)
    name = path.strip("/").removesuffix(".git")
    if host not in hosts:
        raise _unknown(remote, host)
    if not _PROJECT.fullmatch(name) or ".." in name:
        raise InvalidInput(f"remote {_public(remote)!r}: names no project OWNER/NAME")
    return Project(hosts[host], host, scheme, name)


def _parts(url: str, hosts: Mapping[str, Kind]) -> tuple[str, str, str]:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    except ValueError:
        raise InvalidInput(f"{_public(url)!r}: is no address") from None
    if parts.scheme not in {"http", "https"}:
        raise InvalidInput(f"{_public(url)!r}: is no https address of GitHub or GitLab")
    if host not in hosts:
        raise _unknown(url, host)
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        raise InvalidInput(f"{_public(url)!r}: use https; a token is never sent over http")
    return parts.scheme, host, parts.path


def _unknown(url: str, host: str) -> InvalidInput:
    return InvalidInput(
        f"{_public(url)!r}: is at neither github.com nor gitlab.com; for a server of your own set "
        f"MULTI_AGENT_FORGES={host or 'HOST'}=github or ...=gitlab"
    )


def _public(url: str) -> str:
    """An address without a user and a password in it."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)
