"""Virtual keys: who is let in, for which models, for how long; and who is not asked for one."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.base.errors import InvalidInput, NotConfigured
from multi_agent.gateway.keys import KeyFile, add_key, hash_of, read_keys, remove_key
from multi_agent.gateway.providers import Providers
from multi_agent.gateway.serving import check_place, listening
from multi_agent.models.prices import listed_price
from tests.gateway.fake_service import FakeService
from tests.gateway.rigs import CALLERS, ask, gateway_over
from tests.gateway.test_gateway import CHAT, GEMINI, GENERATE, MESSAGES, post


async def test_callers_show_keys_where_their_sdks_put_them(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = add_key(path, "ann", (), None)
    assert key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with capture_logs() as logs:
        async with gateway_over(FakeService(), keys=path) as rig:
            for caller in CALLERS:
                assert (await ask(caller, rig.url, stream=False, key=key)).text == "Hello, world."
            told = [
                await post(rig.url + at, body)
                for at, body in (("/v1/messages", MESSAGES), (GEMINI, GENERATE))
            ]
            told.append(await post(f"{rig.url}/v1/chat/completions", CHAT, authorization=f"Bearer x{key}"))
            assert len(rig.service.asked) == len(CALLERS)
    assert [status for status, _, _ in told] == [401, 401, 401]
    assert told[0][2]["error"]["type"] == "authentication_error"
    assert {line["caller"] for line in logs if line["status"] == 200} == {"ann"}
    assert key not in f"{logs}{told}"


async def test_a_key_is_for_some_models_and_some_days(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    some = add_key(path, "some", ("gpt-*", "mini"), None)
    brief = add_key(path, "brief", (), 1e-9)
    asked = f"Bearer {some}"
    async with gateway_over(FakeService(), keys=path) as rig:
        url = f"{rig.url}/v1/chat/completions"
        assert (await post(url, CHAT, authorization=asked))[0] == 200
        status, _, told = await post(url, {**CHAT, "model": "o9"}, authorization=asked)
        assert (status, told["error"]["message"]) == (403, "this key may not ask 'o9', but gpt-*, mini")
        assert (await post(url, CHAT, authorization=f"Bearer {brief}"))[0] == 401
        remove_key(path, "some")
        assert (await post(url, CHAT, authorization=asked))[0] == 401
        again = add_key(path, "some", (), 1)
        assert (await post(url, CHAT, authorization=f"Bearer {again}"))[0] == 200
        path.write_text("{")
        assert (await post(url, CHAT, authorization=f"Bearer {again}"))[0] == 500
    assert len(rig.service.asked) == 2


async def test_without_keys_no_page_of_a_browser_is_answered() -> None:
    async with gateway_over(FakeService()) as rig:
        status, _, _ = await post(f"{rig.url}/v1/chat/completions", CHAT, origin="http://127.0.0.1")
    assert (status, rig.service.asked) == (403, [])


async def test_without_keys_it_listens_on_the_loopback_alone() -> None:
    for host in ("0.0.0.0", "::", "gateway.example", ""):
        with pytest.raises(NotConfigured, match="without keys"):
            check_place(host, has_keys=False)
        check_place(host, has_keys=True)
    for host in ("127.0.0.1", "::1", "localhost"):
        check_place(host, has_keys=False)
    async with gateway_over(FakeService()) as rig:
        other = replace(rig.gateway, providers=Providers({}, listed_price))
        with pytest.raises(NotConfigured, match="without keys"):
            async with listening(other, "0.0.0.0", 0):
                pass
        port = int(rig.url.rpartition(":")[2])
        with pytest.raises(NotConfigured, match=f"cannot listen at 127.0.0.1:{port}: .*--port"):
            async with listening(other, "127.0.0.1", port):
                pass


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": "replay"}, "the model is 'replay', which cannot be asked"),
        ({"model": "openai:../x"}, "the model is 'openai:../x'"),
        ({"gateway_map": "gpt-9"}, "--map is 'gpt-9'; write it as PATTERN=SERVICE:MODEL"),
        ({"gateway_small": "haiku"}, "the small model is 'haiku'"),
        ({"openai_api_key": None, "openai_base_url": None}, "needs an API key: set OPENAI_API_KEY"),
        ({"gateway_keys": Path("/nowhere/keys")}, "the file of keys /nowhere/keys: No such file"),
    ],
)
async def test_what_is_set_wrong_is_named_at_the_start(settings: dict[str, Any], said: str) -> None:
    keys = settings.pop("gateway_keys", None)
    with pytest.raises(NotConfigured, match=said.replace("*", r"\*")):
        async with gateway_over(FakeService(), keys=keys, **settings):
            pass


def test_a_file_of_keys_is_changed_with_care(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "keys.json"
    add_key(path, "ann", (), None)
    with pytest.raises(InvalidInput, match="there is a key 'ann'"):
        add_key(path, "ann", (), None)
    with pytest.raises(InvalidInput, match="is no name of a key"):
        add_key(path, "ann\nbob", (), None)
    with pytest.raises(InvalidInput, match=r"no key 'bob' in .*; there are: ann"):
        remove_key(path, "bob")
    path.write_text('{"keys": [{"name": "ann"}]}')
    with pytest.raises(NotConfigured, match=r"\$\.keys\[0\]\.sha256"):
        KeyFile(path).check()
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


def test_keys_that_are_made_at_once_are_all_there(tmp_path: Path) -> None:
    keys = tmp_path / "new" / "keys.json"
    # Each locks the folder by a description of its own, as processes do.
    with ThreadPoolExecutor(8) as others:
        made = [others.submit(add_key, keys, f"key-{number}", (), None) for number in range(16)]
        secrets = {one.result() for one in made}
    found = read_keys(keys).keys
    assert {key.name for key in found} == {f"key-{number}" for number in range(16)}
    assert {key.sha256 for key in found} == {hash_of(secret) for secret in secrets}


def test_whoever_cannot_change_the_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"the file of keys .*/file/keys.json cannot be written: "):
        add_key(tmp_path / "file" / "keys.json", "ann", (), None)
