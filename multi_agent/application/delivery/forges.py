"""Which client speaks to the server that keeps a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multi_agent.forges.addresses import Project
from multi_agent.forges.forge import Forge
from multi_agent.forges.github import GitHub
from multi_agent.forges.gitlab import GitLab

if TYPE_CHECKING:
    from multi_agent.settings import Settings


def forge_of(settings: Settings, project: Project) -> Forge:
    """Return the client for a project. Raises NotConfigured as `Settings.token_for`."""
    make = GitLab if project.kind == "gitlab" else GitHub
    return make(project, *settings.token_for(project))
