"""What looks like a secret is removed, whoever it belongs to, and what only resembles one stays."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from contracts.base.secrets.patterns import without_secret_patterns
from contracts.base.secrets.redaction import MARK

BODY = "Ab1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2"
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{BODY}"
TOKENS = [
    f"sk-{BODY}",
    f"sk-ant-api03-{BODY}",
    f"sk-proj-{BODY}",
    f"AIza{BODY}",
    f"ghp_{BODY}",
    f"github_pat_{BODY}",
    f"glpat-{BODY}",
    "AKIAIOSFODNN7EXAMPLE",
    f"xoxb-{BODY}",
    f"hf_{BODY}",
    f"npm_{BODY}",
    JWT,
]


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_removed_wherever_it_stands(token: str) -> None:
    for text in (
        f"the key {token} is refused",
        json.dumps({"reason": f"line\n{token}\n{token}"}),
        f"\x1b[35m{token}\x1b[0m",
        f"https://host/v1?q=1%20{token}&x=2",
        quote(f"GET / {token} HTTP", safe=""),
        "".join(f"%{byte:02x}" for byte in token.encode()),
        base64.b64encode(f"user:{token}".encode()).decode(),
        base64.urlsafe_b64encode(f"x:{token}\n".encode()).decode(),
    ):
        clean = without_secret_patterns(text)
        assert MARK in clean, text
        assert token not in clean
        assert token[-20:] not in clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("redis://u:hunter22@host/0", f"redis://u:{MARK}@host/0"),
        ("password=hunter2222", f"password={MARK}"),
        ('{"api_key": "abcdefgh1"}', f'{{"api_key": "{MARK}"}}'),
        ("Authorization: Bearer abcdefgh12", f"Authorization: Bearer {MARK}"),
        ("access_key%3Dabcdefgh1", f"access_key%3D{MARK}"),
        ("token\x1b[0m=\x1b[35mabcdefgh1\x1b[0m", f"token\x1b[0m=\x1b[35m{MARK}\x1b[0m"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----.", f"{MARK}."),
    ],
)
def test_a_value_that_is_named_as_a_secret_is_removed(text: str, clean: str) -> None:
    assert without_secret_patterns(text) == clean
    assert without_secret_patterns(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "task-abcdefghijklmnopqrstuvwxyz0123 and disk-abcdefghijklmnopqrstuvwxyz",
        '{"input_tokens": 1234567890, "tokens": 123456789012}',
        "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "set it to postgresql://USER:PASSWORD@HOST/NAME",
        "https://host:8080/a/b@c and git@host:a/b.git",
        "MULTI_AGENT_GEMINI_API_KEY is missing",
        f"a path {'Abcd/' * 20}",
    ],
)
def test_what_only_resembles_one_stays(text: str) -> None:
    assert without_secret_patterns(text) == text
