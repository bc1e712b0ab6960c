"""Which hosts are GitHub or GitLab, and the tokens for them: a part of the settings."""

from __future__ import annotations

import re
from typing import Final

from pydantic import AliasChoices, BaseModel, Field, SecretStr

from contracts.base.errors import NotConfigured
from multi_agent.forges.addresses import Project

_TOKEN: Final = re.compile(r"[!-~]+")


class ForgeSettings(BaseModel):
    """The settings for `run --issue` and `pr`; tokens are where each service's own tools have them."""

    github_token: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GH_TOKEN", "GITHUB_TOKEN"),
        description="token for github.com, for `run --issue` and `pr`",
    )
    github_enterprise_token: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"),
        description="token for GitHub at a host of your own",
    )
    gitlab_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("GITLAB_TOKEN"), description="token for GitLab"
    )
    forges: str | None = Field(
        default=None, description="hosts of your own: `HOST=github` or `HOST=gitlab`, with commas between"
    )

    @property
    def forge_tokens(self) -> tuple[SecretStr | None, ...]:
        """All of them."""
        return (self.github_token, self.github_enterprise_token, self.gitlab_token)

    def token_for(self, project: Project) -> tuple[str | None, str]:
        """Return the token for a project's server, None without one, and the variable that holds it.

        Raises NotConfigured for one that no header can carry.
        """
        if project.kind == "gitlab":
            return _value(self.gitlab_token, "GITLAB_TOKEN")
        if project.host == "github.com":
            return _value(self.github_token, "GH_TOKEN")
        return _value(self.github_enterprise_token, "GH_ENTERPRISE_TOKEN")


def _value(token: SecretStr | None, variable: str) -> tuple[str | None, str]:
    text = token.get_secret_value().strip() if token else None
    if text is not None and not _TOKEN.fullmatch(text):
        raise NotConfigured(f"{variable}: is no token; it has characters that no token has")
    return text, variable
