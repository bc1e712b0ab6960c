"""Checks an order against the limits of a sandbox host."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from contracts.base.errors import InvalidInput
from contracts.messages.sandbox import SandboxBounds, SandboxOrder
from contracts.ports.sandbox import SandboxLimits, SandboxRequest
from sandbox_runner.engine.payload import check_request
from sandbox_runner.service.messages import request_of

MOST: Final = SandboxLimits(
    wall_seconds=3_600,
    memory_mb=4_096,
    processes=512,
    cpus=4.0,
    output_bytes=4_000_000,
    disk_mb=1_024,
    file_count=100_000,
)
_RESERVED: Final = "multi-agent."


def admit(order: SandboxOrder, most: SandboxLimits) -> SandboxRequest:
    """The request that may run.

    Raises UnsafePath or InvalidInput for what the host refuses, and DecodeError for a bundle that differs
    from its sizes.
    """
    check_limits(order.limits, most)
    for name in order.labels:
        if name.startswith(_RESERVED):
            raise InvalidInput(f"labels: {name!r}: names that begin with {_RESERVED!r} belong to the host")
    request = request_of(order)
    check_request(request)
    return request


def check_limits(limits: SandboxBounds | SandboxLimits, most: SandboxLimits) -> None:
    """Raise InvalidInput for a limit above that of the host."""
    for field in fields(most):
        wanted, allowed = getattr(limits, field.name), getattr(most, field.name)
        if wanted > allowed:
            raise InvalidInput(
                f"limits.{field.name}: {wanted:g} is more than this sandbox host allows, {allowed:g}"
            )
