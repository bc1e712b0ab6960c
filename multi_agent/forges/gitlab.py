"""GitLab."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from multi_agent.forges.addresses import Project
from multi_agent.forges.forge import ChangeRequest, Issue, Proposal, Rest, field, text_of

_DRAFT: Final = "Draft: "
_DEVELOPER: Final = 30
"""The least access of who counts as a maintainer here."""


class GitLab:
    """See Forge."""

    def __init__(self, project: Project, token: str | None, setting: str) -> None:
        headers = {"PRIVATE-TOKEN": token} if token else {}
        name = quote(project.name, safe="")
        self._rest = Rest(project, f"{project.api}/projects/{name}", headers, setting)

    def read_issue(self, number: int, *, comments: bool) -> Issue:
        found = self._rest.get(f"/issues/{number}")
        kept = self._comments(number) if comments else ()
        return Issue(str(field(found, "title")), text_of(field(found, "description")), kept)

    def default_branch(self) -> str:
        return str(field(self._rest.get(""), "default_branch"))

    def find(self, branch: str) -> ChangeRequest | None:
        path = f"/merge_requests?state=opened&source_branch={quote(branch, safe='')}&per_page=100"
        # Those of forks have branches of the same name.
        own = (one for one in self._rest.get(path) if _is_of_project(one))
        return next(map(_request, own), None)

    def open(self, proposal: Proposal) -> ChangeRequest:
        title = f"{_DRAFT if proposal.draft else ''}{proposal.title}"
        body = {
            "title": title,
            "description": proposal.body,
            "source_branch": proposal.branch,
            "target_branch": proposal.target,
        }
        return _request(self._rest.send("POST", "/merge_requests", body))

    def update(self, found: ChangeRequest, proposal: Proposal) -> ChangeRequest:
        title = f"{_DRAFT if found.draft else ''}{proposal.title}"
        body = {"title": title, "description": proposal.body}
        return _request(self._rest.send("PUT", f"/merge_requests/{found.number}", body))

    def _comments(self, number: int) -> tuple[str, ...]:
        members = self._rest.get("/members/all?per_page=100")
        trusted = {field(one, "id") for one in members if field(one, "access_level") >= _DEVELOPER}
        notes = self._rest.get(f"/issues/{number}/notes?sort=asc&per_page=100")
        people = [note for note in notes if not field(note, "system")]
        return tuple(text_of(field(one, "body")) for one in people if field(one, "author", "id") in trusted)


def _is_of_project(value: object) -> bool:
    return bool(field(value, "source_project_id") == field(value, "target_project_id"))


def _request(value: object) -> ChangeRequest:
    number, url = int(field(value, "iid")), str(field(value, "web_url"))
    return ChangeRequest(number, url, bool(field(value, "draft")), str(field(value, "sha")))
