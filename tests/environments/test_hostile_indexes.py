"""Indexes that lie: about whom a link asks, about how long an answer is, and about what they have."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_runner.environments.indexes.access import npm_access, pip_access
from sandbox_runner.environments.indexes.sources import IndexRefused, IndexSource, Routes, origin
from sandbox_runner.environments.making.fetching import find_pip
from tests.environments.test_index_proxy import python, variables

INDEX = "http://packages.example:8080/simple/"
ROUTES = ("http://127.0.0.1:1", "0" * 64)


@pytest.mark.parametrize(
    "host",
    [
        r"elsewhere.example%5C%40packages.example:8080",
        r"elsewhere.example%5C@packages.example:8080",
        r"elsewhere.example\packages.example:8080",
        "elsewhere.example%3F%40packages.example:8080",
        "elsewhere.example%23%40packages.example:8080",
        "someone%40packages.example:8080",
        "packages%09.example:8080",
        "packages%252Eexample:8080",
        "packages.example:80800",
    ],
)
def test_a_host_that_others_read_otherwise_is_not_asked(host: str) -> None:
    routes = Routes([IndexSource(INDEX, lambda _: "")], *ROUTES)
    with pytest.raises(IndexRefused):
        routes.asked(f"/{ROUTES[1]}/0/http/{host}/x.whl")


def test_a_link_to_a_host_that_others_read_otherwise_is_not_followed() -> None:
    routes = Routes([IndexSource(INDEX, lambda _: "")], *ROUTES)
    for host in ("elsewhere.example%5C%40packages.example:8080", r"a\b", "a b", "ä.example", ""):
        with pytest.raises(IndexRefused, match="is no address of HTTP"):
            routes.link(0, INDEX, f"http://{host}/x.whl")
    link = routes.link(0, INDEX, "http://someone:word@[2A00::1]:8080/x%5C.whl")
    assert link == f"{ROUTES[0]}/{ROUTES[1]}/0/http/[2A00::1]:8080/x%5C.whl"
    assert routes.asked(link.removeprefix(ROUTES[0]).replace(":8080", "%3A8080"))[2] == (
        "http://[2A00::1]:8080/x%5C.whl"
    )
    assert origin("https://Files.example:443/x") == origin("https://files.example/x")


@pytest.mark.parametrize("name", ["PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"])
async def test_pip_waits_for_the_proxy_whatever_its_user_says(tmp_path: Path, name: str) -> None:
    own = variables(tmp_path, PIP_INDEX_URL=INDEX, **{name: "7"})
    async with pip_access(python(), find_pip(python()), tmp_path, own) as access:
        assert access.variables["PIP_TIMEOUT"] == "600"
        assert "PIP_DEFAULT_TIMEOUT" not in access.variables


async def test_npm_waits_for_the_proxy(tmp_path: Path) -> None:
    async with npm_access("npm", tmp_path, variables(tmp_path, npm_config_fetch_timeout="7")) as access:
        assert access.variables["npm_config_fetch_timeout"] == "600000"
