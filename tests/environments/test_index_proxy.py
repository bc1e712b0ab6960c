"""What fetches asks indexes through a proxy, which alone knows their passwords and refuses other hosts."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from contracts.base.errors import EnvironmentFailed
from sandbox_runner.environments.indexes.access import npm_access
from sandbox_runner.environments.indexes.pages import relinked
from sandbox_runner.environments.indexes.proxy import serving_indexes
from sandbox_runner.environments.indexes.sources import (
    IndexRefused,
    IndexSource,
    check_step_to,
    without_password,
)
from sandbox_runner.environments.indexes.upstream import NetworkWay
from sandbox_runner.environments.interpreters import Interpreter, ask_interpreter
from sandbox_runner.environments.making.fetching import Fetch, Fetching
from sandbox_runner.environments.making.fetching_modules import fetch_modules
from sandbox_runner.environments.needs.node_needs import node_needs
from sandbox_runner.local.toolbox import interpreter
from tests.environments.package_index import PackageIndex, serving
from tests.environments.test_node import files as node_files
from tests.environments.test_node import lock, module, registry

PASSWORD = "swordfish-of-the-index"
BASIC = "Basic " + base64.b64encode(f"someone:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD.encode(), BASIC.removeprefix("Basic ").encode())
DIRECT = NetworkWay(seconds=20)


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    """An index that wants a password."""
    with serving() as serves:
        serves.authorization = BASIC
        serves.add("dependency", dependency="")
        yield serves


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The user's own folder, where settings with passwords may lie."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where it is fetched to, and whatever else is written."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def with_password(url: str) -> str:
    return url.replace("//", f"//someone:{PASSWORD}@", 1)


def python() -> Interpreter:
    found = ask_interpreter(interpreter())
    assert found is not None
    return found


def variables(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.defpath, "HOME": str(home), "PIP_CONFIG_FILE": str(home / "pip.conf"), **more}


async def fetch(home: Path, folder: Path, *lines: str, **more: str) -> list[str]:
    """Fetch wheels of these; their names."""

    async def build(_folder: Path, source: str) -> None:
        raise AssertionError(source)

    wanted = Fetch(python(), lines, (), ())
    await Fetching(variables(home, **more), 60).fetch(wanted, folder, build)
    return sorted(path.name for path in (folder / "run").iterdir())


async def refused(home: Path, folder: Path, *lines: str, **more: str) -> str:
    with pytest.raises(EnvironmentFailed) as error:
        await fetch(home, folder, *lines, **more)
    told = str(error.value)
    assert told.startswith("environment, step fetch: ")
    assert "\n" not in told
    assert not any(secret.decode() in told for secret in SECRETS)
    return told


class Watch:
    """Looks for the password in every process that this one started, whenever an index is asked."""

    def __init__(self) -> None:
        self.programs: set[str] = set()
        self.found: list[str] = []

    def __call__(self) -> None:
        for process in self._started():
            for name in ("cmdline", "environ"):
                try:
                    text = (process / name).read_bytes()
                except OSError:
                    continue
                self.programs.add(text.partition(b"\0")[0].decode().rpartition("/")[2])
                self.found += [f"{process / name}" for secret in SECRETS if secret in text]

    def _started(self) -> list[Path]:
        parents = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                parents[process] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        own, found = {os.getpid()}, []
        for _ in range(4):
            below = [one for one, parent in parents.items() if parent in own and int(one.name) not in own]
            found += below
            own |= {int(one.name) for one in below}
        return found


def files_with_a_secret(folder: Path) -> list[Path]:
    every = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in every if any(secret in path.read_bytes() for secret in SECRETS)]


@pytest.mark.parametrize("place", ["pip.conf", "variable", "netrc"])
async def test_pip_is_given_no_password(index: PackageIndex, home: Path, folder: Path, place: str) -> None:
    index.look = watch = Watch()
    index.files["dependency-1.0.metadata"] = b""
    more = {}
    if place == "pip.conf":
        more = {"PIP_CONFIG_FILE": ""}
        (home / ".config/pip").mkdir(parents=True)
        lines = f"index-url = {with_password(index.url)}\nextra-index-url = {with_password(index.url)}"
        (home / ".config/pip/pip.conf").write_text(f"[global]\n{lines}\n")
    elif place == "variable":
        more = {"PIP_INDEX_URL": with_password(index.url)}
    else:
        more = {"PIP_INDEX_URL": index.url}
        (home / ".netrc").write_text(f"machine 127.0.0.1 login someone password {PASSWORD}\n")
    assert await fetch(home, folder, "dependency", **more) == ["dependency-1.0-py3-none-any.whl"]
    assert set(index.given) == {BASIC}
    assert not any(agent.startswith("pip/") for agent in index.agents)
    assert Path(python().path).name in watch.programs
    assert watch.found == []
    assert files_with_a_secret(folder) == []
    assert files_with_a_secret(home) in ([], [home / ".config/pip/pip.conf"], [home / ".netrc"])


async def test_npm_is_given_no_password(home: Path, folder: Path) -> None:
    content = module("dependency", "module.exports = 7\n")
    with registry(content) as index:
        index.look, index.authorization = watch, _ = Watch(), f"Bearer {PASSWORD}"
        base = index.url.removesuffix("simple/")
        written = f"registry={base}\n{base.removeprefix('http:')}:_authToken=${{NPM_TOKEN}}\n"
        (home / ".npmrc").write_text(written)
        needs = node_needs({path: text.encode() for path, text in node_files(lock(content)).items()})
        assert needs is not None
        own = variables(home, NPM_TOKEN=PASSWORD)
        await fetch_modules(needs, folder, variables=own, search_path=os.defpath, seconds=60)
    assert (folder / "node_modules/dependency/index.js").is_file()
    assert index.given
    assert set(index.given) == {index.authorization}
    assert watch.programs
    assert watch.found == []
    assert files_with_a_secret(home.parent) == []


async def test_scopes_have_registries_and_passwords_of_their_own(home: Path, folder: Path) -> None:
    with serving() as index:
        base = index.url.removesuffix("simple/")
        host = base.removeprefix("http:")
        (home / ".npmrc").write_text(
            f"; mine\n@own:registry={base}own\n{host}own/:username=someone\n"
            f"{host}own/:_password={base64.b64encode(PASSWORD.encode()).decode()}\nlegacy-peer-deps=true\n"
        )
        index.pages["own/@own%2Fthing"] = b"{}"
        async with npm_access("npm", folder, variables(home, npm_config_registry=base)) as access:
            assert access.registries.keys() == {"registry", "@own:registry"}
            assert access.variables["npm_config_legacy_peer_deps"] == "true"
            assert await asyncio.to_thread(ask, f"{access.registries['@own:registry']}@own%2fthing") == (
                200,
                "{}",
            )
            await asyncio.to_thread(ask, f"{access.registries['registry']}thing")
    assert index.given == [BASIC, None]


async def test_a_package_that_names_another_host_is_refused(
    index: PackageIndex, home: Path, folder: Path
) -> None:
    with serving() as elsewhere:
        elsewhere.add("other", other="")
        for number, place in enumerate(
            ("https://elsewhere.invalid", elsewhere.url[:-8].replace("127.0.0.1", "localhost"))
        ):
            (folder / str(number)).mkdir()
            index.add("wants", requires=(f"other @ {place}/files/other-1.0-py3-none-any.whl",), wants="")
            told = await refused(home, folder / str(number), "wants", PIP_INDEX_URL=with_password(index.url))
            host = place.partition("//")[2]
            assert f"host '{host}" in told
            assert "is none of an index of your settings, and something that is fetched asks for it" in told
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda index: index.url, "{url} answers 401 Unauthorized"),
        (lambda index: index.url.replace("//", "//someone:wrong@"), "{url} answers 401 Unauthorized"),
        (
            lambda _: "http://someone:wrong@127.0.0.1:1/simple/",
            "http://127.0.0.1:1/simple/: does not answer: ",
        ),
    ],
    ids=["without", "wrong", "closed"],
)
async def test_an_index_that_does_not_serve_is_told(
    index: PackageIndex, home: Path, folder: Path, make: object, told: str
) -> None:
    assert callable(make)
    said = await refused(home, folder, "dependency", PIP_INDEX_URL=make(index))
    assert said.startswith("environment, step fetch: " + told.format(url=index.url))
    assert said.endswith(
        "look at pip's settings of indexes, or name a folder of yours with --environment DIR"
    )


async def test_local_places_of_the_user_stay_as_they_are(home: Path, folder: Path) -> None:
    with serving() as index:
        index.add("dependency", dependency="")
        (home / "wheels").mkdir()
        for name, content in index.files.items():
            (home / "wheels" / name).write_bytes(content)
        (home / "pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {home / 'wheels'}\n")
        assert await fetch(home, folder, "dependency") == ["dependency-1.0-py3-none-any.whl"]
        assert index.asked == []


def ask(url: str, accept: str = "*/*") -> tuple[int, str]:
    """Ask for something: the status and the content."""
    request = urllib.request.Request(url, headers={"Accept": accept})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            return answer.status, answer.read().decode("latin-1")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_password_goes_to_nobody_that_the_index_leads_to(index: PackageIndex) -> None:
    with serving() as other, serving() as files:
        page = "/simple/dependency/"
        index.moved[page] = f"{other.url}dependency/"
        link = f"{files.url[:-7]}files/dependency-1.0-py3-none-any.whl"
        other.pages["simple"] = f"<a href='{link}#sha256=12'>dependency-1.0-py3-none-any.whl</a>".encode()
        files.files = dict(index.files)
        with serving_indexes([IndexSource(index.url, lambda _: BASIC)], DIRECT) as proxy:
            status, content = ask(f"{proxy.routes.local(0)}dependency/")
            assert status == 200
            href = content.partition('href="')[2].partition('"')[0]
            assert href.startswith(proxy.base)
            assert href.endswith("#sha256=12")
            assert (
                ask(f"{proxy.routes.local(0)}dependency/".replace(index.url[7:-8], "127.0.0.1:1"))[0] == 403
            )
            assert "links to host '127.0.0.1:1'" in proxy.problem
            assert ask(href.partition("#")[0])[0] == 200
    assert (index.given, other.given) == ([BASIC], [None])


def test_a_key_opens_one_proxy_alone(index: PackageIndex) -> None:
    source = IndexSource(index.url, lambda _: BASIC)
    with serving_indexes([source], DIRECT) as one, serving_indexes([source], DIRECT) as another:
        own = one.routes.local(0)
        assert ask(f"{own}dependency/")[0] == 200
        assert ask(another.base + own.removeprefix(one.base))[0] == 403
        assert ask(f"{another.base}/")[0] == 403
        assert ask(f"{own.replace('/0/http/', '/1/http/')}dependency/")[0] == 403
    assert len(index.asked) == 1


def test_the_users_own_proxy_is_used_and_given_its_password(index: PackageIndex) -> None:
    there = "http://packages.invalid/simple/"
    index.pages[f"{there}dependency/"[1:]] = b"{}"
    index.authorization = ""
    way = NetworkWay(proxies={"http": with_password(index.url)}, without_proxy=("127.0.0.1",))
    with serving_indexes([IndexSource(there, lambda _: "")], way) as proxy:
        assert ask(f"{proxy.routes.local(0)}dependency/")[0] == 200
    assert (index.asked, index.given) == ([f"{there}dependency/"], [BASIC])


@pytest.mark.parametrize(
    ("before", "target", "told"),
    [
        ("https://a.example/simple/", "http://files.example/x", "is not encrypted"),
        ("https://a.example/simple/", "https://169.254.169.254/x", "within a network of yours"),
        ("https://a.example/simple/", "https://localhost/x", "within a network of yours"),
        ("https://a.example/simple/", "https://[::1]/x", "within a network of yours"),
        ("https://a.example/simple/", "file:///etc/passwd", "is no address of HTTP"),
        ("https://a.example/simple/", "https://b.example/x?signed=1", ""),
        ("http://127.0.0.1:1/simple/", "http://127.0.0.1:2/x", ""),
    ],
)
def test_where_an_index_may_lead(before: str, target: str, told: str) -> None:
    source = IndexSource(before, lambda _: "")
    if not told:
        return check_step_to(source, before, target)
    with pytest.raises(IndexRefused, match=told):
        check_step_to(source, before, target)
    return None


def relink(_page: str, target: str) -> str:
    if "bad" in target:
        raise IndexRefused(target)
    return f"NEW {target}"


def packument(tarball: str) -> Mapping[str, object]:
    return {"versions": {"1.0.0": {"dist": {"tarball": tarball, "integrity": "x"}}}}


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        (
            "text/html; charset=utf-8",
            "<base href='https://b/c/'>"
            "<a href='x.whl#sha256=1' onclick='y' data-requires-python='&gt;=3'>x</a>"
            "<a href='bad'>z</a>",
            '<!DOCTYPE html><html><body>\n<a href="NEW https://b/c/x.whl#sha256=1" '
            'data-requires-python="&gt;=3">x</a>\n</body></html>\n',
        ),
        (
            "application/vnd.pypi.simple.v1+json",
            json.dumps(
                {"name": "x", "files": [{"url": "../x.whl", "core-metadata": True}, {"url": "bad"}, 1]}
            ),
            json.dumps({"name": "x", "files": [{"url": "NEW https://a/x.whl", "core-metadata": True}]}),
        ),
        (
            "application/json",
            json.dumps(packument("https://f/x.tgz")),
            json.dumps(packument("NEW https://f/x.tgz")),
        ),
        ("application/json", "[]", "[]"),
    ],
    ids=["html", "json", "npm", "nothing"],
)
def test_links_are_written_anew(kind: str, content: str, expected: str) -> None:
    assert relinked(kind, "https://a/simple/", content.encode(), relink).decode() == expected


def test_the_parts_of_an_address_with_a_password() -> None:
    assert without_password("https://a%40b:c%2Fd@h:8/x?y") == ("https://h:8/x?y", "a@b", "c/d")
    assert without_password("https://token@h/x") == ("https://h/x", "token", None)
    assert without_password("https://h/x") == ("https://h/x", "", None)
