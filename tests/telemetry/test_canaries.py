"""Twenty secrets go every way on which text is logged; none is found."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from urllib.parse import quote

import pytest

SETTINGS = {
    "gemini_api_key": "canary-gemini-01",
    "openai_api_key": "canary/open+ai=02",
    "anthropic_api_key": "canary-anthropic-03",
    "redis_url": "redis://:canary-redis-04@h:1/0",
    "database_url": "postgresql://u:canary%40base-05@h/d",
    "artifact_store": "https://u:canary-store-06@h/a.git",
    "docker_host": "tcp://u:canary-docker-07@h:1",
}
KNOWN = (
    *("canary-gemini-01", "canary/open+ai=02", "canary-anthropic-03", "canary-redis-04"),
    *("canary@base-05", "canary-store-06", "canary-docker-07"),
)
BODY = "CanaryAb1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1"
OTHERS = (
    *(f"sk-{BODY}08", f"sk-ant-api03-{BODY}09", f"sk-proj-{BODY}10", f"AIza{BODY}11", f"ghp_{BODY}12"),
    *(f"github_pat_{BODY}13", f"glpat-{BODY}14", "AKIACANARY7EXAMPLE15", f"xoxb-{BODY}16", f"hf_{BODY}17"),
    *(f"npm_{BODY}18", f"pypi-{BODY}19", f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{BODY}20"),
)
CANARIES = (*KNOWN, *OTHERS)
PROGRAM = """
import json, logging, pathlib, sys, structlog, warnings
from multi_agent.settings import load_settings
from multi_agent.telemetry.logs import set_up_logs
options, texts, readable = json.loads(sys.stdin.read())
redact, folder = load_settings(options).redactor, pathlib.Path("no-folder")
set_up_logs("info", redact, process="p", readable=readable, serves=folder)
log = structlog.get_logger()
for text in texts:
    log.warning("event", text=text, inner={"a": [text]}, said=f"echo of a model: {text!r}")
    log.warning(f"in the event itself {text}")
    logging.getLogger("foreign").warning("said %s", text)
    warnings.warn(text)
    half = len(text) // 2
    sys.stderr.write("split " + text[:half])
    sys.stderr.write(text[half:] + " split\\n")
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("failed")
raise RuntimeError(" ".join(texts))
"""


def forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        "".join(f"%{byte:02X}" for byte in raw),
        base64.b64encode(raw).decode(),
        base64.b64encode(b"user:" + raw).decode(),
        base64.urlsafe_b64encode(b"x:" + raw + b"\n").decode(),
    ]


@pytest.mark.parametrize("readable", [True, False], ids=["terminal", "file"])
def test_no_canary_is_logged(readable: bool) -> None:
    assert len(CANARIES) == 20
    texts = [form for canary in CANARIES for form in forms(canary)]
    given = json.dumps([SETTINGS, texts, readable])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    found = [text for text in texts if text in done.stderr]
    assert found == []
    assert "canary" not in done.stderr.lower()
    assert "RuntimeError: [secret]" in done.stderr
    assert done.stderr.count("[secret]") > 7 * len(texts)
