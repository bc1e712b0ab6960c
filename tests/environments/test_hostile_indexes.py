"""Indexes that lie: about whom a link asks, about how long an answer is, and about what they have."""

from __future__ import annotations

import hashlib
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from contracts.base.errors import EnvironmentFailed
from sandbox_runner.environments.indexes.access import npm_access, pip_access
from sandbox_runner.environments.indexes.proxy import serving_indexes
from sandbox_runner.environments.indexes.sources import (
    IndexRefused,
    IndexSource,
    Routes,
    check_step_to,
    origin,
)
from sandbox_runner.environments.indexes.upstream import Upstream
from sandbox_runner.environments.making.fetching import Fetch, Fetching, find_pip
from tests.environments.package_index import serving, wheel
from tests.environments.test_index_proxy import DIRECT, python, variables

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


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "0x7f.1",
        "2130706433",
        "0",
        "0251.0376.0251.0376",
        "127.0.0.1.",
        "localhost.",
        "LOCALHOST",
        "ip6-localhost",
        "localhost.localdomain",
        "[::ffff:127.0.0.1]",
    ],
)
def test_no_spelling_of_a_near_host_is_reached_from_afar(host: str) -> None:
    source = IndexSource(INDEX, lambda _: "")
    with pytest.raises(IndexRefused, match="within a network of yours"):
        check_step_to(source, INDEX, f"http://{host}/x.whl")


def test_hosts_that_are_afar() -> None:
    for host in ("8.8.8.8", "files.example.", "2130706433.example", "localhost.example"):
        check_step_to(IndexSource(INDEX, lambda _: ""), INDEX, f"http://{host}/x.whl")


@pytest.mark.parametrize("name", ["PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"])
async def test_pip_waits_for_the_proxy_whatever_its_user_says(tmp_path: Path, name: str) -> None:
    own = variables(tmp_path, PIP_INDEX_URL=INDEX, **{name: "7"})
    async with pip_access(python(), find_pip(python()), tmp_path, own) as access:
        assert access.variables["PIP_TIMEOUT"] == "600"
        assert "PIP_DEFAULT_TIMEOUT" not in access.variables


async def test_npm_waits_for_the_proxy(tmp_path: Path) -> None:
    async with npm_access("npm", tmp_path, variables(tmp_path, npm_config_fetch_timeout="7")) as access:
        assert access.variables["npm_config_fetch_timeout"] == "600000"


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[IndexSource, queue.SimpleQueue[bool]]]:
    """An index that gives these answers, each over its own connection; which of them were taken whole."""
    taken: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def serve() -> None:
        for answer in answers:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                try:
                    connection.sendall(answer)
                    taken.put(True)
                except OSError:
                    taken.put(False)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield IndexSource(f"http://127.0.0.1:{server.getsockname()[1]}/x.whl", lambda _: ""), taken
        thread.join(20)


SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        (
            b"Content-Length: 2\r\nTransfer-Encoding: chunked",
            b"%x\r\nok%b\r\n0\r\n\r\n" % (len(SECOND) + 2, SECOND),
        ),
        (b"Content-Length: 2, 2", b"ok" + SECOND),
        (b"Content-Length: 2\r\nContent-Length: 2", b"ok" + SECOND),
        (b"Content-Length: 2", b"ok" + SECOND),
    ],
)
def test_an_answer_is_never_two(headers: bytes, content: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n%b\r\n\r\n%b"
    with answering(answer % (headers, content)) as (source, _), serving_indexes([source], DIRECT) as proxy:
        here = urlsplit(proxy.routes.local(0))
        with socket.create_connection((here.hostname, here.port), 20) as connection:
            connection.sendall(f"GET {here.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            said = connection.makefile("rb").read()
    head, _, body = said.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" in head:
        assert b"Content-Length" not in head
        size, _, rest = body.partition(b"\r\n")
        assert rest[int(size, 16) :] in (b"\r\n0\r\n\r\n", b"\r\n")
    else:
        assert (b"Content-Length: 2\r\n" in head + b"\r\n", body) == (True, b"ok")


def test_what_is_not_used_of_an_answer_is_not_fetched() -> None:
    head = "HTTP/1.1 {} x\r\nLocation: /y.whl\r\nContent-Length: 64000000\r\n\r\n"
    moved, failed = (head.format(status).encode() + bytes(64_000_000) for status in (302, 503))
    with answering(moved, failed, SECOND) as (source, taken):
        response, there = Upstream(DIRECT).get(source, source.address, {})
        assert (response.data, there) == (b"EVIL", source.address.replace("x.whl", "y.whl"))
        assert [taken.get(timeout=20) for _ in range(3)] == [False, False, True]


def test_an_index_that_fails_four_times_and_a_step_to_no_address_are_told() -> None:
    failed = b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n"
    with answering(*[failed] * 4) as (source, _):
        assert Upstream(DIRECT).get(source, source.address, {})[0].status == 503
    moved = b"HTTP/1.1 302 x\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n"
    with answering(moved) as (source, _), pytest.raises(IndexRefused, match="leads to what is no address"):
        Upstream(DIRECT).get(source, source.address, {})


async def fetch_pinned(folder: Path, pinned: bytes, *lines: str, **own: str) -> list[str]:
    """Fetch lines beside a `dependency` of which a lock has one content; the names of the wheels."""

    async def build(_folder: Path, source: str) -> None:
        raise AssertionError(source)

    pin = f"dependency==1.0 --hash=sha256:{hashlib.sha256(pinned).hexdigest()}"
    await Fetching(variables(folder, **own), 60).fetch(
        Fetch(python(), lines, (), (), pinned=(pin,)), folder, build
    )
    return sorted(path.name for path in (folder / "run").iterdir())


async def test_what_went_wrong_earlier_is_not_why_something_fails(tmp_path: Path) -> None:
    with serving() as index, serving() as second:
        index.add("dependency", dependency="")
        second.moved["/simple/dependency/"] = "ftp://elsewhere.example/"
        pinned = index.files["dependency-1.0-py3-none-any.whl"]
        with pytest.raises(EnvironmentFailed, match="fetch: no wheel of 'other'"):
            await fetch_pinned(
                tmp_path, pinned, "other", PIP_INDEX_URL=index.url, PIP_EXTRA_INDEX_URL=second.url
            )
        assert "/simple/dependency/" in second.asked


async def test_another_wheel_of_a_version_in_the_lock_is_not_installed(tmp_path: Path) -> None:
    with serving() as index:
        index.add("dependency", dependency="")
        locked = index.files["dependency-1.0-py3-none-any.whl"]
        # pip prefers what was built later.
        index.files["dependency-1.0-1-py3-none-any.whl"] = wheel("dependency", {"dependency": "other"})
        links = (
            f'<a href="/files/{name}#sha256={hashlib.sha256(content).hexdigest()}">{name}</a>'
            for name, content in index.files.items()
        )
        index.pages["simple/dependency/"] = "".join(links).encode()
        fetched = await fetch_pinned(tmp_path, locked, "dependency", PIP_INDEX_URL=index.url)
    assert fetched == ["dependency-1.0-py3-none-any.whl"]
    assert "/files/dependency-1.0-1-py3-none-any.whl" in index.asked
