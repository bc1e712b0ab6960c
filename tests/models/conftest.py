from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

_guarded = False


def _loopback_only(event: str, args: tuple[object, ...]) -> None:
    if _guarded and event == "socket.connect":
        address = args[1]
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
            raise RuntimeError(f"a test tried to reach {address}")


sys.addaudithook(_loopback_only)


@pytest.fixture(autouse=True)
def no_real_model() -> Iterator[None]:
    """No test here reaches anything beyond the loopback."""
    global _guarded  # noqa: PLW0603 - an audit hook cannot be taken away again, only switched off
    _guarded = True
    yield
    _guarded = False
