"""Which versions a uv.lock names for this Python, and when it is not believed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pytest

from contracts.base.errors import InvalidInput
from sandbox_runner.environments.needs.uv_lock import LockedVersions, LockNotUsed, read_lock

REGISTRY = 'source = { registry = "https://elsewhere.invalid/simple" }'


def lock_of(packages: Mapping[str, Sequence[str]], files: Mapping[str, bytes]) -> str:
    """A lock of version 1.0 of packages, with what each needs; `thing` of this folder needs the first."""
    first = next(iter(packages))
    text = 'version = 1\nrequires-python = ">=3.8"\n'
    text += '[[package]]\nname = "thing"\nsource = { editable = "." }\n'
    text += f'dependencies = [{{ name = "{first}" }}]\n'
    for name, needs in packages.items():
        asked = ", ".join(f'{{ name = "{one}" }}' for one in needs)
        of_it = [file for file in files if file.startswith(f"{name}-")]
        hashes = [f'{{ hash = "sha256:{hashlib.sha256(files[file]).hexdigest()}" }}' for file in of_it]
        text += f'[[package]]\nname = "{name}"\nversion = "1.0"\n{REGISTRY}\n'
        text += f"dependencies = [{asked}]\nwheels = [{', '.join(hashes)}]\n"
    return text


def read(text: str, *lines: str, groups: Sequence[str] = (), optional: Sequence[str] = ()) -> LockedVersions:
    return read_lock(
        text.encode(),
        "3.12.4",
        extras=("test",),
        groups=groups,
        optional_groups=optional,
        lines=lines,
    )


def names(lines: Sequence[str]) -> list[str]:
    assert all("--hash=sha256:" in line for line in lines)
    return [line.partition(" ")[0] for line in lines]


def package(name: str, version: str = "1.0", more: str = "", source: str = REGISTRY) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    about = f'[[package]]\nname = "{name}"\nversion = "{version}"\n{source}\n'
    return (
        f'{about}wheels = [{{ url = "https://elsewhere.invalid/x.whl", hash = "sha256:{digest}" }}]\n{more}\n'
    )


ROOT = """
version = 1
requires-python = ">=3.11"
[[package]]
name = "thing"
source = { virtual = "." }
dependencies = [
  { name = "plain" },
  { name = "windows", marker = "sys_platform == 'win32'" },
  { name = "old", marker = "python_full_version < '3.12'" },
  { name = "forked", version = "2.0", marker = "python_full_version >= '3.12'" },
  { name = "forked", version = "1.0", marker = "python_full_version < '3.12'" },
  { name = "member" },
]
[package.optional-dependencies]
test = [{ name = "rich-tests", extra = ["colour"] }]
docs = [{ name = "docs" }]
[package.dev-dependencies]
dev = [{ name = "linter" }]
tests = [{ name = "plugin" }]
"""
WHOLE = ROOT + "".join(
    [
        package("plain", more='dependencies = [{ name = "deep" }]'),
        package("deep", more='dependencies = [{ name = "plain" }]'),
        package("windows"),
        package("old"),
        package("forked", "1.0"),
        package("forked", "2.0"),
        package(
            "member",
            source='source = { editable = "packages/member" }',
            more='dependencies = [{ name = "below" }]',
        ),
        package("below"),
        package("rich-tests", more='[package.optional-dependencies]\ncolour = [{ name = "colours" }]'),
        package("colours"),
        package("docs"),
        package("linter", more='dependencies = [{ name = "deep" }]'),
        package("plugin"),
    ]
)


def test_what_extras_groups_and_conditions_lead_to() -> None:
    found = read(WHOLE, "Plain>=1", "old<9; python_version < '3.12'", groups=["tests"], optional=["dev"])
    required = [
        "below==1.0",
        "colours==1.0",
        "deep==1.0",
        "forked==2.0",
        "plain==1.0",
        "plugin==1.0",
        "rich-tests==1.0",
    ]
    assert sorted([*required, "linter==1.0"]) == names(found.lines)
    assert names(found.optional) == ["linter==1.0"]
    assert "elsewhere" not in " ".join(found.lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version = 2\n", "has a form that is not known here"),
        (ROOT.replace(">=3.11", ">=3.13"), "is for Python >=3.13, and this is 3.12.4"),
        (WHOLE.replace("virtual", "registry", 1), "has no package of this folder"),
        (
            WHOLE.replace(package("deep", more='dependencies = [{ name = "plain" }]'), ""),
            "does not say which version of deep",
        ),
        (
            WHOLE.replace(
                ', version = "1.0", marker = "python_full_version < \'3.12\'"', ', version = "1.0"'
            ),
            "has several versions of forked for this Python",
        ),
        (
            WHOLE.replace(
                package("below"), package("below", source='source = { git = "https://x.invalid/y" }')
            ),
            "takes below from an address",
        ),
        (WHOLE.replace("sha256:", "md5:"), "has no hashes of below"),
        (WHOLE.replace("sys_platform ==", "what is"), "has a condition that cannot be read: what is 'win32'"),
        (WHOLE.replace("sys_platform ==", "os_name ~="), "that cannot be read: os_name ~= 'win32'"),
        (WHOLE.replace("sys_platform ==", "(" * 3000), r"that cannot be read: \(\("),
        (WHOLE.replace('["colour"]', "5"), "has extras of rich-tests that are no list"),
    ],
)
def test_a_lock_that_is_not_used_says_why(text: str, told: str) -> None:
    with pytest.raises(LockNotUsed, match=told):
        read(text)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("plain>=2", "is older than what is asked for: it has plain==1.0, not plain>=2"),
        ("new", "is older than what is asked for: it has no new, not new"),
    ],
)
def test_a_lock_that_is_older_than_what_is_asked_for_is_told(line: str, told: str) -> None:
    with pytest.raises(LockNotUsed, match=told):
        read(WHOLE, line)


def test_a_lock_that_cannot_be_read_is_told() -> None:
    with pytest.raises(InvalidInput, match=r"uv\.lock of the repository cannot be read"):
        read("[")
