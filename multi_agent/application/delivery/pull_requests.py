"""Pushes a workflow's work to a branch and opens a request to merge it, or updates the one there is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from artifacts.delivery.branches import check_branch_name
from artifacts.delivery.differences import changed_files
from artifacts.delivery.pushing import Remote, push_commit
from artifacts.delivery.users_repository import UsersRepository, open_users_repository
from artifacts.git.process import users_setting
from artifacts.store.commit_forms import CommitForms
from contracts.base.errors import InvalidInput, NotConfigured
from contracts.base.text import flowing
from multi_agent.application.audit.effects import recorded
from multi_agent.application.delivery.evidence import evidence_of
from multi_agent.application.delivery.forges import forge_of
from multi_agent.application.delivery.permitted import permitted
from multi_agent.application.delivery.request_text import request_text
from multi_agent.application.ends.summary import summarise
from multi_agent.forges.addresses import Project, project_at, read_hosts
from multi_agent.forges.forge import ChangeRequest, Forge, Proposal

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from contracts.messages.payloads import Usage
    from multi_agent.application.delivery.delivered import Delivered
    from multi_agent.application.ends.summary import Summary
    from multi_agent.settings import Settings
    from orchestrator.client.workflow_client import WorkflowClient
    from orchestrator.core.audit.entries import Fact

_USERS: Final = {"github": "x-access-token", "gitlab": "oauth2"}
_FOLDER: Final = "multi-agent"
_ISSUE: Final = "Resolve this issue: "


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks for."""

    repo: Path
    """Where the remote is configured."""
    remote: str = "origin"
    branch: str | None = None
    """Of the remote; without one a name made from the workflow's id."""
    target: str | None = None
    """What it is to be merged into; without one the project's default branch."""
    draft: bool = False


@dataclass(frozen=True, slots=True)
class Proposed:
    """What became of it."""

    url: str
    branch: str
    draft: bool
    opened: bool
    """False where a request was there, and was updated."""
    pushed: bool
    """False where the branch was there as it is."""


async def propose(
    settings: Settings,
    client: WorkflowClient,
    store: GitArtifactStore,
    delivered: Delivered,
    planning: Usage,
    wanted: Wanted,
) -> Proposed:
    """Push and propose. Raises InvalidInput, NotConfigured (the token), Unavailable, StoreUnavailable."""
    user = await asyncio.to_thread(open_users_repository, wanted.repo)
    url = _remote_url(user, wanted.remote)
    project = project_at(url, read_hosts(settings.forges))
    token, setting = settings.token_for(project)
    if token is None:
        raise NotConfigured(f"{project.host} wants to know who asks; set {setting} to a token that may push")
    branch = wanted.branch or f"{_FOLDER}/{delivered.workflow_id}"
    check_branch_name(user, branch)
    summary = await summarise(delivered.view, store, settings.artifacts, planning)
    text, title = await _text(store, delivered, summary)
    forge = forge_of(settings, project)
    target = await asyncio.to_thread(_target, forge, wanted.target, branch)

    def work() -> Proposed:
        remote = _remote(project, url, token)
        pushed = push_commit(store.repository, delivered.workflow_id, delivered.commit, remote, branch)
        draft = wanted.draft or not delivered.completed or bool(summary.untested)
        found, opened = _opened(forge, Proposal(branch, target, title, text, draft))
        return Proposed(found.url, branch, found.draft, opened, pushed)

    facts: dict[str, Fact] = {"commit": delivered.commit, "base": delivered.base, "branch": branch}
    facts |= {"repository": f"{project.host}/{project.name}", "target": target}
    name = delivered.workflow_id
    # Whatever is wrong may come to light between the push and the request.
    where = {"repository": facts["repository"], "branch": branch, "target": target, "draft": wanted.draft}
    log = client.audit
    async with (
        permitted(client.releases, store, delivered, "pr", where, refusable=False),
        recorded(log, "pr", facts, workflow_id=name, refusable=False, anchors=store) as done,
    ):
        proposed = await asyncio.to_thread(work)
        done |= {"url": proposed.url, "opened": proposed.opened, "pushed": proposed.pushed}
    return proposed


def _target(forge: Forge, named: str | None, branch: str) -> str:
    target = named or forge.default_branch()
    if branch == target:
        raise InvalidInput(f"branch {branch!r}: is what the request would be merged into; name another")
    return target


def _opened(forge: Forge, proposal: Proposal) -> tuple[ChangeRequest, bool]:
    found = forge.find(proposal.branch)
    return (forge.update(found, proposal), False) if found else (forge.open(proposal), True)


def _remote_url(user: UsersRepository, name: str) -> str:
    for setting in (f"remote.{name}.pushurl", f"remote.{name}.url"):
        if url := users_setting(user.folder, setting):
            return url
    raise InvalidInput(f"repository {user.shown}: has no remote {name!r}; name one with --remote")


def _remote(project: Project, url: str, token: str) -> Remote:
    if url.startswith(("https://", "http://")):
        url = f"{project.scheme}://{project.host}/{project.name}.git"
    return Remote(url, _USERS[project.kind], token)


async def _text(store: GitArtifactStore, delivered: Delivered, summary: Summary) -> tuple[str, str]:
    """The text and the title."""
    files = await asyncio.to_thread(changed_files, store.repository, delivered.base, delivered.commit)
    text = request_text(delivered, summary, files, await evidence_of(store, delivered))
    first = flowing(summary.request.partition("\n")[0].removeprefix(_ISSUE))
    parents = [delivered.base] if delivered.base else []
    form = await asyncio.to_thread(CommitForms(store.repository.objects).of, parents)
    return text, form.subject(first, [file.path for file in files]) if form else first[:200]
