"""Images and documents: data URLs, and what kind a media type is."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, Literal

from multi_agent.models.wire.canonical import WireMedia
from multi_agent.models.wire.fields import Fields

_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*?;base64,", re.ASCII)
TEXT: Final = "text/plain"
UNNAMED: Final = "document"
"""The name of a file that has none, where OpenAI wants one."""


def kind_of(media_type: str) -> Literal["image", "document"] | None:
    """What a media type is; None for sound, video and what else no format shares."""
    if media_type.startswith("image/"):
        return "image"
    return "document" if media_type.startswith(("text/", "application/")) else None


def title_of(name: str) -> str:
    """What a file is called; "" where it has no name."""
    return "" if name == UNNAMED else name


def data_url(media: WireMedia) -> str:
    """Its data as a URL."""
    return f"data:{media.media_type};base64,{media.data}"


def of_url(url: str) -> dict[str, str]:
    """The fields of a medium that a URL says, its data where the URL is that."""
    found = _DATA_URL.match(url)
    if found is None:
        return {"url": url}
    return {"media_type": found[1] or TEXT, "data": url[found.end() :]}


def coded(text: str) -> str:
    """A text as base64."""
    return base64.b64encode(text.encode()).decode()


def decoded(media: WireMedia) -> str | None:
    """The text of a document; None where its data is none."""
    try:
        return base64.b64decode(media.data, validate=True).decode()
    except (ValueError, binascii.Error):
        return None


def check_data(data: str, fields: Fields, key: str) -> str:
    """Base64 as it is; what is none is noted."""
    try:
        base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        fields.notes.wrong(fields.at(key), "must be base64")
    return data
