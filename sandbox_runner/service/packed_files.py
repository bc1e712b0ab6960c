"""Many contents as one text: compressed and in base64; see contracts.messages.sandbox."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Sequence
from itertools import accumulate

from contracts.base.errors import DecodeError
from contracts.messages.sandbox import MAX_BUNDLE_BYTES

# The fastest: what travels once over a local network is not worth more time.
_LEVEL = 1


def pack(contents: Iterable[bytes]) -> str:
    """The contents as a bundle."""
    return base64.b64encode(zlib.compress(b"".join(contents), _LEVEL)).decode("ascii")


def unpack(bundle: str, sizes: Sequence[int]) -> list[bytes]:
    """The contents, whose sizes must be exactly these. Raises DecodeError, and never unpacks more."""
    total = sum(sizes)
    if total > MAX_BUNDLE_BYTES:
        raise DecodeError(f"bundle has {total} bytes, the limit is {MAX_BUNDLE_BYTES}", bundle.encode())
    try:
        unpacker = zlib.decompressobj()
        whole = unpacker.decompress(base64.b64decode(bundle, validate=True), total + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise DecodeError(f"bundle cannot be unpacked: {error}", bundle.encode()) from None
    if len(whole) != total or not unpacker.eof or unpacker.unused_data:
        raise DecodeError(f"bundle does not hold the {total} bytes it should", bundle.encode())
    ends = list(accumulate(sizes))
    return [whole[end - size : end] for end, size in zip(ends, sizes, strict=True)]
