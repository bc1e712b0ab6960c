"""A file's bytes as text and back, the same to the byte where nothing was changed."""

from __future__ import annotations

from dataclasses import dataclass

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class TextFile:
    """The text of a file. Bytes that are not UTF-8 are surrogate escapes."""

    text: str
    """With line ends as "\n" when all of the file's are "\r\n"."""
    has_bom: bool
    is_crlf: bool

    @classmethod
    def read(cls, content: bytes) -> TextFile | None:
        """The text of a file; None for a binary one."""
        if b"\0" in content:
            return None
        text = content.decode("utf-8", "surrogateescape")
        has_bom = text.startswith(_BOM)
        is_crlf = "\r\n" in text and text.count("\r\n") == text.count("\n") == text.count("\r")
        return cls(
            text.removeprefix(_BOM).replace("\r\n", "\n") if is_crlf else text.removeprefix(_BOM),
            has_bom,
            is_crlf,
        )

    def with_text(self, text: str) -> bytes:
        """The bytes of the file with another text, in the file's own way."""
        if self.is_crlf:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return ((_BOM if self.has_bom else "") + text).encode("utf-8", "surrogateescape")
