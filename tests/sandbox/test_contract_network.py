"""The Sandbox port, by every backend: no network by any address family, but a loopback of its own.

The host's listeners are a probe, which `test_abuse` runs.
"""

from __future__ import annotations

import socket

from contracts.ports.sandbox import Sandbox
from tests.sandbox.probing import ask

ALLOWED_FAMILIES = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6}


async def test_only_three_address_families_exist(sandbox: Sandbox) -> None:
    code = """
import socket, errno
def open_(family, kind):
    try:
        socket.socket(family, kind).close()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "open"
kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
print(json.dumps({family: sorted({open_(family, kind) for kind in kinds}) for family in range(64)}))
"""
    seen = await ask(sandbox, code)
    for family in range(64):
        if family in ALLOWED_FAMILIES:
            assert "open" in seen[str(family)]
        else:
            assert seen[str(family)] == ["EAFNOSUPPORT"], family


async def test_no_raw_sockets(sandbox: Sandbox) -> None:
    code = """
import socket
def raw(family):
    try:
        socket.socket(family, socket.SOCK_RAW, 1)
    except OSError as error:
        return error.strerror
    return "open"
print(json.dumps([raw(socket.AF_INET), raw(socket.AF_INET6)]))
"""
    assert set(await ask(sandbox, code)) <= {"Operation not permitted", "Protocol not supported"}


async def test_only_loopback_and_no_route(sandbox: Sandbox) -> None:
    code = """
import socket
names = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
routes = open("/proc/net/route").read().splitlines()[1:]
print(json.dumps([names, routes]))
"""
    names, routes = await ask(sandbox, code)
    assert "lo" in names
    # The kernel may give every namespace its tunnel stubs; none of them is up, as the missing routes show.
    assert not any(name.startswith(("eth", "en", "wl", "veth", "br", "docker")) for name in names)
    assert routes == []


async def test_names_are_not_resolved(sandbox: Sandbox) -> None:
    code = """
import socket
try:
    socket.getaddrinfo("sandbox-canary.invalid", 80)
except socket.gaierror as error:
    print(json.dumps(error.errno in (socket.EAI_AGAIN, socket.EAI_NONAME)))
"""
    assert await ask(sandbox, code) is True


async def test_servers_inside_work(sandbox: Sandbox) -> None:
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
print(json.dumps(client.getpeername()[0]))
"""
    assert await ask(sandbox, code) == "127.0.0.1"
