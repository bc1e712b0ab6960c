"""The files of a commit, as a mapping that holds no content."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping


class TreeFiles(Mapping[str, bytes]):
    """path -> content of the regular files of a commit, each read when it is asked for.

    Links, submodules and names that contracts.base.paths refuses are left out. A look at a content blocks,
    and raises ArtifactError for one that is missing. Whether a path is there is known without a look.
    """

    @property
    @abstractmethod
    def commit(self) -> str:
        """The commit that they are of."""

    @property
    @abstractmethod
    def content_names(self) -> Mapping[str, str]:
        """path -> name of its content: equal contents, and only they, have the same."""

    @abstractmethod
    def read(self, path: str, most: int) -> bytes | None:
        """Read a content; None for one of more than `most` bytes, which is not held in memory."""

    @abstractmethod
    def __contains__(self, path: object) -> bool: ...
