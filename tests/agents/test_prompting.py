"""What prompts show of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agents.sdk.prompting import MAX_CONTEXT_CHARACTERS, MAX_FILE_CHARACTERS, MAX_READ_BYTES, file_blocks


def test_what_has_no_room_is_named_and_what_follows_is_shown() -> None:
    fitting = MAX_CONTEXT_CHARACTERS // MAX_FILE_CHARACTERS
    names = [f"{number}.py" for number in range(fitting + 1)]
    tree = {**dict.fromkeys(names, b"x" * MAX_FILE_CHARACTERS), "last.py": b"d = 1\n"}
    shown = file_blocks(tree, tree)
    assert [name for name in [*names, "last.py"] if f"File `{name}`:" in shown] == [*names[:-1], "last.py"]
    assert shown.endswith(f"Left out for their size: {names[-1]}")
    assert len(shown) < MAX_CONTEXT_CHARACTERS + 1_000


class _Counting(Mapping[str, bytes]):
    """Files of one content, and which of them were read."""

    def __init__(self, count: int, size: int) -> None:
        self._content, self._count = bytes(size), count
        self.read: list[str] = []

    def __getitem__(self, path: str) -> bytes:
        self.read.append(path)
        return self._content

    def __iter__(self) -> Iterator[str]:
        return (f"{number}.bin" for number in range(self._count))

    def __len__(self) -> int:
        return self._count


def test_of_a_large_repository_only_a_part_is_read() -> None:
    tree = _Counting(7, MAX_READ_BYTES // 4)
    shown = file_blocks(tree, tree)
    assert tree.read == ["0.bin", "1.bin", "2.bin", "3.bin"]
    assert shown.endswith("Left out for their size: 4.bin, 5.bin, 6.bin")
