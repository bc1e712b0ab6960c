"""The mappings of all processes, and the memory without a name in them that is shared."""

from __future__ import annotations

import re

from sandbox_runner.guest.measuring.processes import SandboxProcess

_MAPPING, _MAPPING_OF_ANCESTOR = 480, 128
"""What one mapping costs, and how much more for each ancestor that may share it."""
_LEAST_SHARED = (1 << 20, 8 << 20)
"""What shared memory may hold that is seen in part: each of the first four, and each further one.

Filling takes time in which a large one is seen; many small ones are seen by chance.
"""
_SHARED_MEMORY = re.compile(
    rb"^(\w+)-(\w+) ...s (\w+) \S+ (\d+) +(?:/dev/zero \(deleted\)|\[anon_shmem:.*)$", re.M
)


class Mappings:
    """Measures them. Memory without a name stays when no process sees it, while a part of it is mapped."""

    def __init__(self) -> None:
        self._extents: dict[bytes, int] = {}

    def measure(self, processes: list[SandboxProcess], limit: int) -> tuple[int, int]:
        """Return (bytes of the mappings, bytes that shared memory may hold).

        No more is read than what shows that there are more than `limit`.
        """
        parents = {each.pid: each.parent for each in processes}
        total, seen = 0, set[bytes]()
        for each in processes:
            cost = _MAPPING + _MAPPING_OF_ANCESTOR * _depth(each.pid, parents)
            for block in each.blocks("maps"):
                total += block.count(b"\n") * cost
                seen |= self._note(block)
                if total > limit:
                    return total, self._held()
        self._extents = {inode: size for inode, size in self._extents.items() if inode in seen}
        return total, self._held()

    def _held(self) -> int:
        few, more = _LEAST_SHARED
        sizes = sorted(self._extents.values(), reverse=True)
        return sum(max(size, few if at < 4 else more) for at, size in enumerate(sizes))

    def _note(self, block: bytes) -> set[bytes]:
        seen = set()
        for begin, end, offset, inode in _SHARED_MEMORY.findall(block):
            extent = int(offset, 16) + int(end, 16) - int(begin, 16)
            self._extents[inode] = max(extent, self._extents.get(inode, 0))
            seen.add(inode)
        return seen


def _depth(pid: str, parents: dict[str, str]) -> int:
    depth = 0
    while (pid := parents.get(pid, "")) in parents and depth < len(parents):
        depth += 1
    return depth
