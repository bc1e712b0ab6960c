"""Pages of indexes, with every link written anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin

from sandbox_runner.environments.indexes.sources import IndexRefused

Relink = Callable[[str, str], str]
"""(page, address that it links to) -> what is written instead. Raises IndexRefused."""
_HTML: Final = ("text/html", "application/vnd.pypi.simple.v1+html")
_JSON: Final = "application/vnd.pypi.simple.v1+json"
_NPM: Final = ("application/json", "application/vnd.npm.install-v1+json")
_KEPT: Final = (
    "data-requires-python",
    "data-yanked",
    "data-core-metadata",
    "data-dist-info-metadata",
)


class _Link(NamedTuple):
    attributes: dict[str, str]
    text: list[str]


class _Links(HTMLParser):
    """The links of a page, and its base."""

    def __init__(self) -> None:
        super().__init__()
        self.base: str | None = None
        self.links: list[_Link] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "base" and self.base is None:
            self.base = attributes.get("href")
        if tag == "a":
            self._open = True
            self.links.append(_Link(attributes, []))

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "a"

    def handle_data(self, data: str) -> None:
        if self._open:
            self.links[-1].text.append(data)


def is_page(content_type: str, path: str) -> bool:
    """Tell whether an answer has links; what follows `/-/` in a registry is a file."""
    kind = _kind(content_type)
    return kind in {*_HTML, _JSON} or (kind in _NPM and "/-/" not in path)


def relinked(content_type: str, page: str, content: bytes, relink: Relink) -> bytes:
    """A page with its links written anew; those that may not be followed are left out.

    Raises IndexRefused for what cannot be read.
    """
    kind = _kind(content_type)
    if kind in _HTML:
        return _html(page, content, relink)
    try:
        about = json.loads(content)
    except (ValueError, RecursionError):
        raise IndexRefused("its answer cannot be read") from None
    if isinstance(about, dict):
        _project(about, page, relink) if kind == _JSON else _packument(about, page, relink)
    return json.dumps(about).encode()


def _html(page: str, content: bytes, relink: Relink) -> bytes:
    parser = _Links()
    parser.feed(content.decode("utf-8", "replace"))
    parser.close()
    base = urljoin(page, parser.base or "")
    lines = []
    for link in parser.links:
        if not (address := _relinked(base, page, link.attributes.get("href"), relink)):
            continue
        kept = {"href": address} | {name: link.attributes[name] for name in _KEPT if name in link.attributes}
        attributes = " ".join(f'{name}="{escape(value)}"' for name, value in kept.items())
        lines.append(f"<a {attributes}>{escape(''.join(link.text).strip())}</a>\n")
    return f"<!DOCTYPE html><html><body>\n{''.join(lines)}</body></html>\n".encode()


def _project(about: dict[str, Any], page: str, relink: Relink) -> None:
    """Write the links of a project's page anew (PEP 691)."""
    kept = []
    for file in _objects(about.get("files")):
        if address := _relinked(page, page, file.get("url"), relink):
            kept.append({**file, "url": address})
    about["files"] = kept


def _packument(about: dict[str, Any], page: str, relink: Relink) -> None:
    """Write the links of what a registry says of a package anew."""
    versions = about.get("versions")
    of_versions = _objects(list(versions.values()) if isinstance(versions, dict) else [])
    # What is said of one version alone has no table of them.
    for dist in _objects([one.get("dist") for one in [*of_versions, about]]):
        if "tarball" in dist:
            dist["tarball"] = _relinked(page, page, dist["tarball"], relink)


def _relinked(base: str, page: str, target: object, relink: Relink) -> str:
    """What stands for a link; "" for one that may not be followed."""
    if not isinstance(target, str):
        return ""
    try:
        return relink(page, urljoin(base, target))
    except (IndexRefused, ValueError):
        return ""


def _objects(values: object) -> list[dict[str, Any]]:
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
