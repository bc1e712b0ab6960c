"""JavaScript: what is fetched for a lock, and what of a lock is not believed."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from contracts.base.errors import EnvironmentFailed, InvalidInput
from multi_agent.application.environments import list_environments
from sandbox_runner.environments.found import FoundEnvironments, MakingSettings
from sandbox_runner.environments.needs.node_needs import NodeNeeds, node_needs
from sandbox_runner.local.toolbox import interpreter
from tests.environments.conftest import Place
from tests.environments.package_index import PackageIndex, serving

ELSEWHERE = "https://elsewhere.invalid/dependency.tgz"
backends = pytest.mark.parametrize("backend", ["bubblewrap"], indirect=True)


def module(name: str, code: str, **more: object) -> bytes:
    """The archive of a package of version 1.0.0."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        texts = {"package.json": json.dumps({"name": name, "version": "1.0.0", **more}), "index.js": code}
        for path, text in texts.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


@contextmanager
def registry(content: bytes) -> Iterator[PackageIndex]:
    """A registry with one package, `dependency`."""
    with serving() as index:
        base = index.url.removesuffix("simple/")
        index.files["dependency.tgz"] = content
        about = {
            "name": "dependency",
            "version": "1.0.0",
            "dist": {"tarball": f"{base}files/dependency.tgz", "integrity": integrity(content)},
        }
        packument = {"name": "dependency", "versions": {"1.0.0": about}, "dist-tags": {"latest": "1.0.0"}}
        index.pages["dependency"] = json.dumps(packument).encode()
        yield index


def lock(content: bytes, **about: object) -> dict[str, Any]:
    """A lock of one package and one of the repository's own."""
    entry = {"version": "1.0.0", "resolved": ELSEWHERE, "integrity": integrity(content), **about}
    return {
        "name": "thing",
        "lockfileVersion": 3,
        "packages": {
            "": {"name": "thing", "workspaces": ["packages/*"], "dependencies": {"dependency": "^1.0.0"}},
            "node_modules/dependency": entry,
            "node_modules/inner": {"resolved": "packages/inner", "link": True},
            "packages/inner": {"name": "inner", "version": "2.0.0"},
        },
    }


def files(locked: dict[str, Any]) -> dict[str, str]:
    project = {"name": "thing", "workspaces": ["packages/*"], "dependencies": {"dependency": "^1.0.0"}}
    return {
        "package.json": json.dumps(project),
        "package-lock.json": json.dumps(locked),
        "packages/inner/package.json": json.dumps({"name": "inner", "version": "2.0.0"}),
        "packages/inner/index.js": "module.exports = 'of the tree'\n",
        "lib/a.js": "console.log(require('dependency'), require('inner'), require.resolve('inner'))\n",
    }


def environments(place: Place, index: PackageIndex) -> FoundEnvironments:
    variables = {
        "PATH": os.defpath,
        "HOME": str(place.repository.parent),
        "npm_config_registry": index.url.removesuffix("simple/"),
        "npm_config_userconfig": os.devnull,
        "npm_config_globalconfig": "/dev/zero/none",
        "npm_config_fetch_retries": "0",
    }
    settings = MakingSettings(interpreter(), os.defpath, variables, seconds=200)
    return FoundEnvironments(place.store.trees(), place.workspaces, place.cache, settings)


@backends
async def test_modules_are_fetched_without_scripts_and_the_tree_is_used(place: Place) -> None:
    marker = place.repository.parent / "a script ran"
    content = module("dependency", "module.exports = 7\n", scripts={"install": f"touch '{marker}'"})
    place.write(files(lock(content, hasInstallScript=True)) | {".gitignore": "node_modules\n"})
    with registry(content) as index:
        told, listed, status = await place.run(
            environments(place, index),
            ("node", "lib/a.js"),
            ("ls", "node_modules/"),
            ("git", "status", "--short"),
        )
    assert told.stdout == b"7 of the tree /work/packages/inner/index.js\n", told.stderr
    assert listed.stdout == b"dependency\ninner\n"
    assert status.stdout == b""
    assert not marker.exists()
    assert place.said == [
        "fetching 1 packages of package-lock.json",
        "building the environment from 1 packages, without a network",
    ]


@backends
async def test_a_lock_of_old_is_laid_out_with_programs(place: Place) -> None:
    content = module("dependency", "module.exports = 7\n", bin={"told": "index.js"})
    entry = {"version": "1.0.0", "resolved": ELSEWHERE, "integrity": integrity(content)}
    old = {"name": "thing", "lockfileVersion": 1, "requires": True, "dependencies": {"dependency": entry}}
    place.write(
        {
            "package.json": json.dumps({"name": "thing", "dependencies": {"dependency": "^1.0.0"}}),
            "package-lock.json": json.dumps(old),
            "a.js": "console.log(require('dependency'))\n",
        }
    )
    with registry(content) as index:
        said = json.loads(index.pages["dependency"])
        said["versions"]["1.0.0"]["bin"] = {"told": "index.js"}
        index.pages["dependency"] = json.dumps(said).encode()
        told, found = await place.run(
            environments(place, index), ("node", "a.js"), ("ls", "/node_modules/.bin")
        )
    assert told.stdout == b"7\n", told.stderr
    assert found.stdout == b"told\n"


@backends
async def test_what_is_asked_for_by_a_tag_comes_from_the_users_registry(place: Place) -> None:
    content = module("dependency", "module.exports = 7\n")
    text = {path: text.replace("^1.0.0", "latest") for path, text in files(lock(content)).items()}
    place.write(text)
    with registry(content) as index:
        index.pages["dependency/-/dependency-1.0.0.tgz"] = content
        (told,) = await place.run(environments(place, index), ("node", "lib/a.js"))
    assert told.stdout == b"7 of the tree /work/packages/inner/index.js\n", told.stderr


@backends
async def test_what_npm_says_first_is_told(place: Place) -> None:
    content = module("dependency", "module.exports = 7\n")
    place.write(
        files(lock(content)) | {"package.json": '{"name": "thing", "dependencies": {"other": "^3.0.0"}}'}
    )
    with registry(content) as index:
        commit = await place.store.import_base(place.repository)
        with pytest.raises(EnvironmentFailed, match=r"npm ended with 1: code E404 \| 404 .*/other \|"):
            async with environments(place, index).prepare(commit, place.said.append):
                pass


@backends
async def test_another_content_than_the_lock_has_is_refused(place: Place) -> None:
    place.write(files(lock(module("dependency", "module.exports = 7\n"))))
    with registry(module("dependency", "module.exports = 'another'\n")) as index:
        commit = await place.store.import_base(place.repository)
        with pytest.raises(EnvironmentFailed, match=r"npm ended with 1: .*EINTEGRITY"):
            async with environments(place, index).prepare(commit, place.said.append):
                pass
    assert list_environments(place.cache) == []


def needs(locked: object, **more: str) -> NodeNeeds | None:
    texts = {"package.json": "{}", "package-lock.json": json.dumps(locked), **more}
    return node_needs({path: text.encode() for path, text in texts.items()})


def test_no_address_of_a_lock_is_asked() -> None:
    found = needs(lock(b""))
    assert found is not None
    assert "elsewhere" not in json.dumps(dict(found.files))
    assert found.packages == {"node_modules/dependency@1.0.0": integrity(b"")}


@pytest.mark.parametrize(
    "about",
    [
        {"resolved": "git+ssh://git@elsewhere.invalid/x.git#0", "integrity": "sha512-x"},
        {"resolved": "file:../outside", "integrity": "sha512-x"},
        {"integrity": None},
    ],
)
def test_what_comes_from_elsewhere_is_refused(about: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match=r"package-lock.json of the repository: package 'node_modules/dep"):
        needs(lock(b"", **about))


@pytest.mark.parametrize(
    ("asked", "resolved"),
    [
        ("https://elsewhere.invalid/tarball/v1", "https://elsewhere.invalid/tarball/v1"),
        ("github:some/where#main", "git+ssh://git@github.com/some/where.git#0"),
        ("some/where", "git+ssh://git@github.com/some/where.git#0"),
    ],
)
def test_what_is_asked_for_by_an_address_is_left_out(asked: str, resolved: str) -> None:
    locked = lock(b"")
    packages = locked["packages"]
    packages["node_modules/dependency"]["devDependencies"] = {
        "far": asked,
        "near": "^1.0.0",
        "own": "npm:a@1",
    }
    packages["node_modules/far"] = {"version": "1.0.0", "resolved": resolved}
    packages["node_modules/far/node_modules/below"] = {"version": "1.0.0"}
    project = json.dumps({"dependencies": {"dependency": "^1.0.0"}, "devDependencies": {"far": asked}})
    found = needs(locked, **{"package.json": project})
    assert found is not None
    assert found.left_out == (f"far {asked}",)
    assert not any(word in text for text in found.files.values() for word in (asked, resolved, "below"))
    assert found.packages.keys() == {"node_modules/dependency@1.0.0"}
    assert '"near": "^1.0.0", "own": "npm:a@1"' in found.files["package-lock.json"]


@pytest.mark.parametrize(
    ("locked", "told"),
    [
        ({"lockfileVersion": 0, "packages": {}}, "is of version 0, which is not known here"),
        (
            {"lockfileVersion": 1, "dependencies": {"a": {"version": "git+ssh://x"}}},
            "'node_modules/a@git.*no integ",
        ),
        ({"lockfileVersion": 1, "dependencies": {"a": 1}}, "package 'a' is no object"),
        ({"lockfileVersion": 3, "packages": {"node_modules/a": 1}}, "package 'node_modules/a' is no object"),
        ([], "cannot be read: it holds no object"),
    ],
)
def test_a_lock_that_cannot_be_used_is_told(locked: object, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        needs(locked)


def test_what_an_old_lock_takes_from_an_address_is_left_out() -> None:
    below = {"dependencies": {"deep": {"version": "1.0.0"}}}
    old = {"lockfileVersion": 1, "dependencies": {"far": {"version": "github:some/where#0", **below}}}
    found = needs(old, **{"package.json": json.dumps({"dependencies": {"far": "some/where"}})})
    assert found is not None
    assert (found.packages, found.left_out) == ({}, ("far some/where",))
    assert not any("some/where" in text for text in found.files.values())


def test_a_project_without_a_lock_needs_nothing_that_can_be_fetched() -> None:
    assert node_needs({"package.json": b"{}"}) is None
