"""Removes known secrets from text."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

SHORTEST: Final = 8
"""Shorter values are no secrets: they also occur as words, and taking them out would ruin the text."""
MARK: Final = "[secret]"

_ESCAPED_FOR_HTML: Final = "\"&'+<>`"
"""What writers of JSON escape besides what they must."""
_SECRET_OPTIONS: Final = ("password", "passwd", "token", "secret", "key")


class Redactor:
    """Replaces known secrets by a mark, also in the forms in which they travel.

    These are percent-encoding, base64 (at any place in what was encoded, so that a Basic header counts),
    hexadecimal, and the escapes of JSON.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        # Longer ones first: one form may be a part of another.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    def __call__(self, text: str) -> str:
        """The text without any of them."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MARK)
        return text


def url_secrets(url: str) -> Iterator[str]:
    """The password of a URL and the passwords, tokens and keys among its options, as written and decoded.

    A password that is also the name of the user, the host or the database is none.
    """
    try:
        parts = urlsplit(url)
        public = {parts.scheme, parts.username or "", parts.hostname or "", parts.path.strip("/")}
        found = [parts.password or ""]
    except ValueError:
        return
    found += [value for name, value in parse_qsl(parts.query) if name.lower().endswith(_SECRET_OPTIONS)]
    for secret in found:
        if secret and secret not in public and unquote(secret) not in public:
            yield from {secret, unquote(secret)}


def without_password(location: str) -> str:
    """A URL without its password, for which Git then asks; other places as they are."""
    with suppress(ValueError):
        parts = urlsplit(location)
        if parts.password:
            user, _, rest = parts.netloc.rpartition("@")
            return parts._replace(netloc=f"{user.partition(':')[0]}@{rest}").geturl()
    return location


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    yield secret
    for encoded in (quote(secret, safe=""), quote(secret), quote_plus(secret), _every_byte(raw)):
        yield encoded
        yield _lower_escapes(encoded)
    for encoded in (raw.hex(), *_base64_forms(raw)):
        yield encoded
        yield encoded.upper() if encoded == raw.hex() else encoded.translate(_URL_SAFE)
    yield from _json_forms(secret)


_URL_SAFE: Final = str.maketrans("+/", "-_")


def _every_byte(raw: bytes) -> str:
    return "".join(f"%{byte:02X}" for byte in raw)


def _lower_escapes(encoded: str) -> str:
    first, *rest = encoded.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])


def _base64_forms(raw: bytes) -> Iterator[str]:
    """What the bytes become in base64, without the characters that depend on what stands beside them."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode()
        whole = (before + len(raw)) * 8 // 6
        yield encoded[-(-before * 8 // 6) : whole]


def _json_forms(secret: str) -> Iterator[str]:
    for escaped in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield escaped
        yield escaped.replace("/", "\\/")
    for digits in ("04x", "04X"):
        yield "".join(f"\\u{ord(char):{digits}}" if char in _ESCAPED_FOR_HTML else char for char in secret)
        yield "".join(char if char.isalnum() else f"\\u{ord(char):{digits}}" for char in secret)
        yield "".join(f"\\u{ord(char):{digits}}" for char in secret)
