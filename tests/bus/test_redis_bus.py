"""What only a Redis server can do to the bus."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contracts.base.errors import BusUnavailable, NotConfigured
from contracts.bus.connect import connect_message_bus
from contracts.bus.redis_bus import RedisBus
from contracts.bus.redis_subscription import RedisSubscription
from contracts.ports.bus import Done, Outgoing
from tests.support.redis_servers import PrivateRedis

SECRET = "hunter2-canary"


@pytest.fixture(scope="module")
def running() -> Iterator[PrivateRedis]:
    server = PrivateRedis("redis-server").start()
    yield server
    server.stop()


@pytest.fixture
def server(running: PrivateRedis) -> PrivateRedis:
    running.flush()
    return running


@pytest.fixture(scope="module")
def guarded() -> Iterator[PrivateRedis]:
    server = PrivateRedis("redis-server", options=("--requirepass", SECRET), password=SECRET).start()
    yield server
    server.stop()


@asynccontextmanager
async def opened(url: str, timeout: float = 10.0) -> AsyncIterator[RedisBus]:
    bus = RedisBus(url, timeout=timeout)
    try:
        yield bus
    finally:
        await bus.close()


async def until_lost(subscription: RedisSubscription) -> None:
    for _ in range(1_000):
        await subscription.ready()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@127.0.0.1/0",
        f"redis://user:{SECRET}/x@127.0.0.1:6379/0",
        f"redis://user:{SECRET}@127.0.0.1:port/0",
        f"redis://user:{SECRET}@127.0.0.1:6379/zero",
        f"redis://user:{SECRET}@127.0.0.1:6379/0?db=one",
        f"redis://user:{SECRET}@127.0.0.1:6379/0?retry_on_timeout=true",
        f"redis://user:{SECRET}@127.0.0.1:6379/0?sokcet_timeout=1",
        f"rediss://user:{SECRET}@127.0.0.1:6379/0?ssl_mode={SECRET}",
        f"rediss://user:{SECRET}@127.0.0.1:6379/0?ssl_cert_reqs={SECRET}",
        f"rediss://user:{SECRET}@127.0.0.1:6379/0?ssl_min_version=TLSv1.2",
        f"rediss://user:{SECRET}@127.0.0.1:6379/0?ssl_ca_certs=/nonexistent.pem",
        f"unix://:{SECRET}@/tmp/x.sock?db=0&socket_timeout=1",
        SECRET,
        "",
    ],
)
def test_a_wrong_url_is_refused_and_never_shown(url: str) -> None:
    with pytest.raises(NotConfigured, match=r"must look like redis://host:6379/0") as caught:
        RedisBus(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("given", ["none", "CERT_NONE", "cert_required", "Optional"])
async def test_the_check_of_certificates_is_given_as_python_has_it(given: str) -> None:
    async with opened(f"rediss://127.0.0.1:1/0?ssl_cert_reqs={given}") as bus:
        with pytest.raises(BusUnavailable, match=r"Redis at 127\.0\.0\.1:1"):
            await bus.depth("s")


async def test_the_password_opens(guarded: PrivateRedis) -> None:
    async with opened(guarded.url) as bus:
        await bus.publish([Outgoing("s", b"1")])
        assert await bus.depth("s") == 1


async def test_the_password_is_in_no_error(guarded: PrivateRedis) -> None:
    wrong = guarded.url.replace(SECRET, f"wrong-{SECRET}")
    for url in (wrong, guarded.url.replace("redis.sock", "absent.sock")):
        async with opened(url, timeout=0.3) as bus:
            subscription = bus.subscribe(["s"])
            for call in (bus.depth("s"), subscription.ready()):
                with pytest.raises(BusUnavailable, match=str(guarded.folder)) as caught:
                    await call
                assert SECRET not in str(caught.value)
                assert SECRET not in repr(caught.value)


async def test_a_password_repeated_by_the_server_is_hidden(tmp_path: Path) -> None:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(f"-ERR unknown command, with args beginning with: '{SECRET}'\r\n".encode())
        await writer.drain()
        writer.close()

    path = tmp_path / "s"
    async with await asyncio.start_unix_server(repeat, path), opened(f"unix://:{SECRET}@{path}") as bus:
        with pytest.raises(BusUnavailable, match=r"beginning with: '\*\*\*'"):
            await bus.depth("s")


async def test_tcp_urls_and_databases_work() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = PrivateRedis("redis-server", options=("--port", str(port), "--bind", "127.0.0.1")).start()
    try:
        async with (
            opened(f"redis://127.0.0.1:{port}/3") as third,
            opened(f"redis://localhost:{port}") as first,
        ):
            await third.publish([Outgoing("s", b"1")])
            assert (await third.depth("s"), await first.depth("s")) == (1, 0)
    finally:
        server.stop()


async def test_a_server_that_evicts_is_refused() -> None:
    server = PrivateRedis("redis-server", options=("--maxmemory-policy", "allkeys-lru")).start()
    try:
        with pytest.raises(NotConfigured, match=r"maxmemory-policy allkeys-lru.*set it to noeviction"):
            await connect_message_bus(server.url)
        # Where CONFIG is forbidden INFO still tells, and where both are the server is given the benefit.
        for name, rule, refused in (("one", "-config", True), ("two", "-config -info", False)):
            server.command("ACL", "SETUSER", name, "on", ">pw", "~*", "&*", "+@all", *rule.split())
            async with opened(server.url.replace("unix://", f"unix://{name}:pw@")) as bus:
                if refused:
                    with pytest.raises(NotConfigured, match="allkeys-lru"):
                        await bus.check_policy()
                else:
                    await bus.check_policy()
                    assert await bus.incarnation()
    finally:
        server.stop()


async def test_a_good_server_is_accepted(server: PrivateRedis) -> None:
    bus = await connect_message_bus(server.url)
    await bus.close()


async def test_what_nobody_watches_is_not_mirrored(server: PrivateRedis) -> None:
    def mirrored() -> int:
        counts = server.command("INFO", "commandstats")
        return int(counts.get("cmdstat_publish", {}).get("calls", 0))

    server.command("CONFIG", "RESETSTAT")
    async with opened(server.url) as bus, opened(server.url) as other:
        await bus.ensure_group("s", "g")
        await bus.publish([Outgoing("s", b"1")])
        read = await bus.read(["s"], "g", "c", count=1, block_ms=0)
        await bus.answer(Done("g", read), [Outgoing("t", b"2")])
        assert mirrored() == 0
        for channels in (["t"], ["x.*"]):
            before = mirrored()
            subscription = other.subscribe(channels)
            await subscription.ready()
            await bus.publish([Outgoing("s", b"3")])
            await bus.answer(Done("g", []), [Outgoing("t", b"4")])
            await bus.broadcast([Outgoing("t", b"5")])
            expected = 2 if channels == ["t"] else 3
            assert mirrored() - before == expected, channels
            await subscription.close()


async def test_a_server_that_does_not_say_who_watches_is_given_every_mirror(server: PrivateRedis) -> None:
    server.command("ACL", "SETUSER", "silent", "on", ">pw", "~*", "&*", "+@all", "-pubsub")
    silent = server.url.replace("unix://", "unix://silent:pw@")
    async with opened(silent) as bus, opened(server.url) as other:
        subscription = other.subscribe(["s"])
        await subscription.ready()
        await bus.publish([Outgoing("s", b"1")])
        await bus.answer(Done("g", []), [Outgoing("s", b"2")])
        assert [await anext(subscription) for _ in range(2)] == [("s", b"1"), ("s", b"2")]
        assert await bus.depth("s") == 2
        await subscription.close()


async def test_a_lost_reply_is_an_error_and_no_second_entry(server: PrivateRedis, tmp_path: Path) -> None:
    """I2: whether to publish again is for the caller to decide."""
    stored = asyncio.Event()

    async def swallow_the_reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(server.socket)
        request = b""
        while b"NUMPAT" not in request:
            request += (chunk := await reader.read(65_536))
            to_server.write(chunk)
            if b"XADD" not in request:
                writer.write(await from_server.read(65_536))
        await from_server.read(65_536)
        stored.set()
        writer.close()
        to_server.close()

    path = tmp_path / "s"
    async with await asyncio.start_unix_server(swallow_the_reply, path), opened(f"unix://{path}") as bus:
        with pytest.raises(BusUnavailable):
            await bus.publish([Outgoing("s", b"1")])
        await stored.wait()
    async with opened(server.url) as bus:
        assert await bus.depth("s") == 1


async def test_a_server_that_hangs_is_unavailable_and_the_bus_heals(server: PrivateRedis) -> None:
    """F16, G22."""
    async with opened(server.url, timeout=0.3) as bus:
        await bus.ensure_group("s", "g")
        subscription = bus.subscribe(["s"])
        await subscription.ready()
        server.pause()
        try:
            for call in (bus.depth("s"), bus.read(["s"], "g", "c", count=1, block_ms=100)):
                with pytest.raises(BusUnavailable, match="no answer in time"):
                    await call
            with pytest.raises(BusUnavailable):
                await until_lost(subscription)
        finally:
            server.resume()
        assert await bus.depth("s") == 0
        await subscription.ready()
        await bus.broadcast([Outgoing("s", b"heard")])
        assert await anext(subscription) == ("s", b"heard")


async def test_a_quiet_subscription_stays(server: PrivateRedis) -> None:
    async with opened(server.url, timeout=0.5) as bus:
        subscription = bus.subscribe(["s"])
        await subscription.ready()
        [before] = server.command("CLIENT", "LIST", "TYPE", "pubsub").decode().splitlines()
        now = before
        while "cmd=ping" not in now:
            now = (await asyncio.to_thread(server.command, "CLIENT", "LIST", "TYPE", "pubsub")).decode()
        assert before.split()[0] in now.split()


async def test_a_read_may_take_longer_than_an_answer(server: PrivateRedis) -> None:
    async with opened(server.url, timeout=0.2) as bus:
        await bus.ensure_group("s", "g")
        assert await bus.read(["s"], "g", "c", count=1, block_ms=600) == []


async def test_a_full_server_is_unavailable_until_there_is_room(server: PrivateRedis) -> None:
    """F14: nothing is dropped, the caller hears, and the connection stays in order."""
    async with opened(server.url) as bus:
        await bus.publish([Outgoing("s", b"1")])
        server.command("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(BusUnavailable, match="maxmemory"):
                await bus.publish([Outgoing("s", b"2"), Outgoing("s", b"3")])
            assert await bus.depth("s") == 1
        finally:
            server.command("CONFIG", "SET", "maxmemory", "0")
        await bus.publish([Outgoing("s", b"2")])
        assert await bus.depth("s") == 2


async def test_a_key_of_another_kind_is_an_error_of_the_server(server: PrivateRedis) -> None:
    server.command("SET", "s", "text")
    async with opened(server.url) as bus:
        for call in (bus.depth("s"), bus.ensure_group("s", "g"), bus.publish([Outgoing("s", b"1")])):
            with pytest.raises(BusUnavailable, match="WRONGTYPE"):
                await call


async def test_a_bus_keeps_few_connections(server: PrivateRedis) -> None:
    async with opened(server.url) as bus:
        await asyncio.gather(*(bus.depth("s") for _ in range(100)))
        assert server.command("INFO", "clients")["connected_clients"] <= 9


async def test_i1_what_cannot_be_answered_is_not_acknowledged(server: PrivateRedis) -> None:
    async with opened(server.url) as bus:
        await bus.ensure_group("requests", "g")
        await bus.publish([Outgoing("requests", b"request")])
        found = await bus.read(["requests"], "g", "c", count=1, block_ms=0)
        server.command("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(BusUnavailable, match=r"EXECABORT|maxmemory"):
                await bus.answer(Done("g", found), [Outgoing("results", b"outcome")])
        finally:
            server.command("CONFIG", "SET", "maxmemory", "0")
        assert await bus.pending("requests", "g", "c") == found
        server.command("SET", "results", "no stream")
        with pytest.raises(BusUnavailable, match="WRONGTYPE"):
            await bus.answer(Done("g", found), [Outgoing("results", b"outcome")])
