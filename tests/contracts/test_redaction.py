"""Known secrets are found in every form in which they travel, and nothing else is changed."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base.secrets.redaction import MARK, SHORTEST, Redactor, url_secrets

SECRET = "pa/ss+w=rd&4711"
TEXT = st.text(st.characters(codec="utf-8"))


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET)
        .replace("%2B", "%2b")
        .replace("%3D", "%3d")
        .replace("%2F", "%2f")
        .replace("%26", "%26"),
        "".join(f"%{byte:02x}" for byte in SECRET.encode()),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        json.dumps(SECRET)[1:-1],
        SECRET.replace("/", "\\/"),
        SECRET.replace("&", "\\u0026").replace("+", "\\u002b"),
        SECRET.replace("&", "\\u0026").replace("+", "\\u002B"),
        "".join(f"\\u{ord(char):04x}" for char in SECRET),
    ],
)
def test_each_form_is_replaced(form: str) -> None:
    assert Redactor([SECRET])(f"a {form} b {form}") == f"a {MARK} b {MARK}"


@settings(deadline=None)
@given(st.text(min_size=SHORTEST), st.binary(max_size=7), st.binary(max_size=7))
def test_base64_is_found_at_any_place(secret: str, before: bytes, after: bytes) -> None:
    raw = secret.encode("utf-8", "surrogatepass")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert MARK in Redactor([secret])(encode(before + raw + after).decode())


@settings(deadline=None)
@given(TEXT, st.lists(st.text(min_size=SHORTEST), max_size=3))
def test_no_secret_is_left(text: str, secrets: list[str]) -> None:
    redact = Redactor(secrets)
    clean = redact(text + "".join(secrets) + text)
    assert [secret for secret in secrets if secret in clean and secret not in MARK] == []


@settings(deadline=None)
@given(TEXT)
def test_other_text_stays(text: str) -> None:
    assert Redactor(["a-secret-that-is-not-in-it-4711"])(text) == text


def test_what_is_too_short_is_a_word() -> None:
    assert Redactor(["ollama", ""])("an ollama server") == "an ollama server"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis://:hunter-22@host:6379/0", {"hunter-22"}),
        ("postgresql://me:p%40ss-word@host/db", {"p%40ss-word", "p@ss-word"}),
        ("postgresql://host/db?user=me&password=p%40ss", {"p@ss"}),
        ("https://host/v1?api_key=k-1&version=2", {"k-1"}),
        ("postgresql://postgres:postgres@host/postgres", set()),
        ("/a/path", set()),
        ("redis://[broken", set()),
    ],
)
def test_the_secrets_of_a_url(url: str, found: set[str]) -> None:
    assert set(url_secrets(url)) == found
