"""Releases into a user's repository that a rule names, or that change what governs approvals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from artifacts.delivery.differences import DiffForm, changed_files, difference
from contracts.base.errors import InvalidInput, WaitsForPerson
from contracts.base.processes.command_lines import command_line
from contracts.documents.approval_policy import ActionFacts
from contracts.documents.repository_settings import SETTINGS_FILES, read_settings
from orchestrator.core.approvals.actions import FORM, GOVERNING, Needed
from orchestrator.storage.approvals.releases import Release

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from multi_agent.application.delivery.delivered import Delivered
    from orchestrator.client.release_approvals import ReleaseApprovals


@asynccontextmanager
async def permitted(
    approvals: ReleaseApprovals,
    store: GitArtifactStore,
    delivered: Delivered,
    kind: str,
    target: Mapping[str, Any],
    *,
    refusable: bool = True,
) -> AsyncIterator[None]:
    """Make a release in the body, which uses up an approval of exactly it where one is needed.

    target: where it goes, with the commits that are there now. Raises WaitsForPerson where it must be
    allowed first, InvalidInput where it is denied.
    refusable: whether InvalidInput in the body says that nothing was changed, so that it can be tried again.
    """
    release = await _release(store, delivered, kind, target)
    if release is None:
        yield
        return
    if release.needs.denied:
        raise InvalidInput(f"{kind}: the rule {release.needs.rule!r} of the policy denies it")
    used = await approvals.use(release)
    if used is None:
        show = command_line("approvals", "show", delivered.workflow_id, kind)
        raise WaitsForPerson(f"{kind} of {delivered.workflow_id} waits for approval; look: {show}")
    try:
        yield
    except InvalidInput:
        if refusable:
            await approvals.end(used, done=False)
        raise
    await approvals.end(used, done=True)


async def _release(
    store: GitArtifactStore, delivered: Delivered, kind: str, target: Mapping[str, Any]
) -> Release | None:
    header, commits = delivered.view.header, (delivered.base, delivered.commit)
    changed = await asyncio.to_thread(changed_files, store.repository, *commits)
    paths = tuple(file.path for file in changed)
    needs = await _needed(store, delivered, kind, paths)
    if needs is None:
        return None
    policy = header.approvals
    patch = await asyncio.to_thread(difference, store.repository, *commits, DiffForm.PATCH)
    action = {
        "form": FORM,
        "action": kind,
        "workflow_id": header.workflow_id,
        "request": header.request,
        "base_commit": delivered.base,
        "commit": delivered.commit,
        "verified": delivered.completed,
        "target": dict(target),
        "diff": patch.decode("utf-8", "backslashreplace").splitlines(),
        "policy": {
            "version": policy.version if policy else None,
            "digest": policy.digest if policy else None,
            "rule": needs.rule,
            "risk": needs.risk,
        },
    }
    return Release(header.workflow_id, kind, action, needs)


async def _needed(
    store: GitArtifactStore, delivered: Delivered, kind: str, paths: tuple[str, ...]
) -> Needed | None:
    policy = delivered.view.header.approvals
    rule = policy.rule_for(ActionFacts(kind, paths=paths, usd=0.0)) if policy else None
    if rule is not None and rule.then == "deny":
        return Needed(rule.name, rule.risk, denied=True)
    if not {*paths}.isdisjoint(SETTINGS_FILES) and await _governs(store, delivered):
        return GOVERNING
    if rule is None or rule.then == "allow":
        return None
    return Needed(rule.name, rule.risk, rule.hours, rule.idempotent)


async def _governs(store: GitArtifactStore, delivered: Delivered) -> bool:
    """Whether it changes what the repository says about work in it."""
    before = await _said(store, delivered.base) if delivered.base else None
    try:
        return bool(before != await _said(store, delivered.commit))
    except InvalidInput:
        return True


async def _said(store: GitArtifactStore, commit: str) -> Any:
    files = await store.open_tree(commit)
    found = read_settings({name: files[name] for name in SETTINGS_FILES if name in files})
    return found.settings if found else None
