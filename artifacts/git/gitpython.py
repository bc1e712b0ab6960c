"""A bare repository as GitPython sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.git.process import environment, options
from contracts.base.errors import ArtifactError

if TYPE_CHECKING:
    from git import Repo


@contextmanager
def opened(git_dir: Path) -> Iterator[Repo]:
    """The repository, under the same rules as every other git call. Raises ArtifactError."""
    # GitPython cannot be imported where there is no git program; `options` raises NotConfigured first.
    switches = options()
    from git import Repo  # noqa: PLC0415 - see above
    from git.exc import GitError  # noqa: PLC0415 - see above

    try:
        with Repo(git_dir) as repo:
            repo.git.update_environment(**environment(), GIT_DIR=str(git_dir))
            repo.git.set_persistent_git_options(c=switches)
            yield repo
    except GitError as error:
        raise ArtifactError(f"the store at {str(git_dir)!r} cannot be read: {error}") from None
