"""What a project's own settings of pytest say that its tests cannot do without."""

from __future__ import annotations

import configparser
import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

_INI_SECTIONS: Final = {
    "pytest.ini": "pytest",
    ".pytest.ini": "pytest",
    "tox.ini": "pytest",
    "setup.cfg": "tool:pytest",
}
_ORDER: Final = (
    "pytest.toml",
    ".pytest.toml",
    "pytest.ini",
    ".pytest.ini",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
)
"""As pytest looks for them; the first with a section for it counts."""
_ALONE: Final = frozenset({"pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"})
"""Count also without a section."""
_MOST_BYTES: Final = 200_000
_OF_PLUGINS: Final = (
    "asyncio_mode",
    "asyncio_default_fixture_loop_scope",
    "asyncio_default_test_loop_scope",
    "anyio_mode",
    "trio_mode",
    "DJANGO_SETTINGS_MODULE",
)
_WORD: Final = re.compile(r"[A-Za-z0-9_.]{1,200}")


def import_folders(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """The folders of the setting `pythonpath`; what is outside the tree, or cannot be read, is left out."""
    return tuple(_inside(_settings(files).get("pythonpath", ())))


def plugin_settings(files: Mapping[str, bytes]) -> dict[str, str]:
    """Settings of plugins that decide how tests are run, such as `asyncio_mode`; none leaves a test out."""
    found = _settings(files)
    texts = {name: found[name] for name in _OF_PLUGINS if isinstance(found.get(name), str)}
    return {name: text for name, text in texts.items() if _WORD.fullmatch(text)}


def _settings(files: Mapping[str, bytes]) -> Mapping[str, Any]:
    for name in _ORDER:
        if name not in files or len(files[name]) > _MOST_BYTES:
            continue
        section = _section(name, files[name])
        if section is not None:
            return section
        if name in _ALONE:
            return {}
    return {}


def _section(name: str, content: bytes) -> Mapping[str, Any] | None:
    try:
        text = content.decode()
        return _toml(text, name) if name.endswith(".toml") else _ini(text, _INI_SECTIONS[name])
    except (ValueError, RecursionError, configparser.Error):
        return None


def _toml(text: str, name: str) -> Mapping[str, Any] | None:
    found: Any = tomllib.loads(text)
    if name == "pyproject.toml":
        found = found.get("tool", {})
    section = found.get("pytest") if isinstance(found, dict) else None
    if name == "pyproject.toml" and isinstance(section, dict):
        section = section.get("ini_options", section)
    return section if isinstance(section, dict) else None


def _ini(text: str, section: str) -> Mapping[str, Any] | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    return parser[section] if parser.has_section(section) else None


def _inside(value: object) -> Iterator[str]:
    words = value.split() if isinstance(value, str) else value if isinstance(value, list | tuple) else ()
    for word in words:
        folder = posixpath.normpath(word) if isinstance(word, str) and word else ".."
        if not folder.startswith(("/", "..")):
            yield folder
