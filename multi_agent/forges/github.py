"""GitHub."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from multi_agent.forges.addresses import Project
from multi_agent.forges.forge import ChangeRequest, Issue, Proposal, Rest, field, text_of

_MAINTAINERS: Final = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})


class GitHub:
    """See Forge."""

    def __init__(self, project: Project, token: str | None, setting: str) -> None:
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        self._owner = project.name.partition("/")[0]
        self._rest = Rest(project, f"{project.api}/repos/{project.name}", headers, setting)

    def read_issue(self, number: int, *, comments: bool) -> Issue:
        found = self._rest.get(f"/issues/{number}")
        said = self._rest.get(f"/issues/{number}/comments?per_page=100") if comments else []
        theirs = (one for one in said if field(one, "author_association") in _MAINTAINERS)
        kept = [text_of(field(one, "body")) for one in theirs]
        return Issue(str(field(found, "title")), text_of(field(found, "body")), tuple(kept))

    def default_branch(self) -> str:
        return str(field(self._rest.get(""), "default_branch"))

    def find(self, branch: str) -> ChangeRequest | None:
        head = quote(f"{self._owner}:{branch}", safe="")
        # An owner may also have forks, with branches of the same name.
        found = self._rest.get(f"/pulls?state=open&head={head}&per_page=100")
        return next((_request(one) for one in found if _is_of_project(one)), None)

    def open(self, proposal: Proposal) -> ChangeRequest:
        body = {
            "title": proposal.title,
            "body": proposal.body,
            "head": proposal.branch,
            "base": proposal.target,
            "draft": proposal.draft,
        }
        return _request(self._rest.send("POST", "/pulls", body))

    def update(self, found: ChangeRequest, proposal: Proposal) -> ChangeRequest:
        body = {"title": proposal.title, "body": proposal.body}
        return _request(self._rest.send("PATCH", f"/pulls/{found.number}", body))


def _is_of_project(value: object) -> bool:
    """Whether the branch is the project's own; that of a fork which is gone has no repository."""
    head = field(value, "head", "repo")
    return head is not None and bool(field(head, "id") == field(value, "base", "repo", "id"))


def _request(value: object) -> ChangeRequest:
    number, url = int(field(value, "number")), str(field(value, "html_url"))
    return ChangeRequest(number, url, bool(field(value, "draft")), str(field(value, "head", "sha")))
