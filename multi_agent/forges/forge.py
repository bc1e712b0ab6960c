"""What is the same at every server: issues, requests, and how a refusal is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from contracts.base.errors import InvalidInput, NotConfigured, Unavailable
from contracts.base.text import flowing
from multi_agent.forges.addresses import Project
from multi_agent.forges.http import Answer, ForgeHttp


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue, as people wrote it."""

    title: str
    body: str
    comments: tuple[str, ...] = ()
    """Those of maintainers, oldest first."""


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """A pull request of GitHub, a merge request of GitLab."""

    number: int
    url: str
    draft: bool
    head: str = ""
    """The commit it is at."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a request says."""

    branch: str
    target: str
    title: str
    body: str
    draft: bool


class Forge(Protocol):
    """A server that keeps a project. Raises Unavailable, NotConfigured (the token), InvalidInput."""

    def read_issue(self, number: int, *, comments: bool) -> Issue:
        """Read an issue; with `comments` also those of maintainers."""

    def default_branch(self) -> str:
        """The branch that requests are for."""

    def find(self, branch: str) -> ChangeRequest | None:
        """The open request of a branch of the project; None without one."""

    def open(self, proposal: Proposal) -> ChangeRequest:
        """Open a request."""

    def update(self, found: ChangeRequest, proposal: Proposal) -> ChangeRequest:
        """Give an open request another title and body; its draft state is its people's."""


class Rest:
    """The project's part of a server's REST interface."""

    def __init__(self, project: Project, base: str, headers: Mapping[str, str], setting: str) -> None:
        """`setting` that holds the token."""
        self._project, self._base, self._setting = project, base, setting
        self._http = ForgeHttp(headers)
        self._known = "Authorization" in headers or "PRIVATE-TOKEN" in headers

    def get(self, path: str) -> Any:
        """Read."""
        return self._checked(self._http.call("GET", f"{self._base}{path}"), "read").value

    def send(self, method: str, path: str, body: object) -> Any:
        """Write."""
        return self._checked(self._http.call(method, f"{self._base}{path}", body), "changed").value

    def _checked(self, answer: Answer, what: str) -> Answer:
        if 200 <= answer.status < 300:
            return answer
        where, said = f"{self._project.host}/{self._project.name}", _said(answer)
        if answer.status in {401, 403}:
            raise NotConfigured(f"{where} cannot be {what}{said}; set {self._setting} to a token that may")
        if answer.status == 404:
            hint = "" if self._known else f", or it is private: set {self._setting}"
            raise InvalidInput(f"{where}: there is no such thing{hint}")
        if answer.status == 429 or answer.status >= 500:
            raise Unavailable(f"{where}: answered {answer.status}{said}; try again later")
        raise InvalidInput(f"{where} cannot be {what}: answered {answer.status}{said}")


def _said(answer: Answer) -> str:
    said = answer.value.get("message") or answer.value.get("error") if isinstance(answer.value, dict) else ""
    return f" ({flowing(str(said))[:200]})" if said else ""


def text_of(value: object) -> str:
    """A text field; "" for null."""
    return value if isinstance(value, str) else ""


def field(value: object, *path: str | int) -> Any:
    """What is at a place of an answer. Raises InvalidInput where the answer has another form."""
    for step in path:
        try:
            value = value[step]  # type: ignore[index]
        except (LookupError, TypeError):
            raise InvalidInput(f"the server's answer has no {'.'.join(map(str, path))}") from None
    return value
