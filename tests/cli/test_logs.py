"""What is logged: without secrets, and without control characters on a terminal."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from multi_agent.settings import load_settings
from multi_agent.telemetry.tracing.spans import trace_id_of

SETTINGS = {
    "gemini_api_key": "gemini-canary-1",
    "openai_api_key": "openai-canary-2",
    "redis_url": "redis://:redis-canary-3@h:1/0",
    "database_url": "postgresql://u:base%40canary-4@h/d",
    "artifact_store": "https://u:store-canary-5@h/a.git",
    "openai_base_url": "https://h/v1?api_key=query-canary-6",
    "docker_host": "tcp://u:docker-canary-7@h:1",
}
SECRETS = (
    "gemini-canary-1",
    "openai-canary-2",
    "redis-canary-3",
    "base@canary-4",
    "base%40canary-4",
    "store-canary-5",
    "query-canary-6",
    "docker-canary-7",
)
# A script that uses the packages from Python.
SCRIPT = """
import json, sys, structlog
from contracts import get_message_bus
url, text = json.loads(sys.argv[1])
get_message_bus(url).close()
structlog.get_logger().warning(text, text=text)
"""
PROGRAM = """
import json, logging, sys, structlog
from multi_agent.settings import load_settings
from multi_agent.telemetry.logs import set_up_logs
options, text, readable = json.loads(sys.argv[1])
set_up_logs("info", load_settings(options).redactor, process="p", readable=readable)
log = structlog.get_logger()
log.warning("event", text=text, inner={text: [text]}, number=3)
logging.getLogger("foreign").warning("said %s", text)
try:
    raise ValueError(text)
except ValueError:
    log.exception("failed")
"""


NAMING = """
import structlog
from contracts.base.secrets.redaction import Redactor
from multi_agent.telemetry.logs import set_up_logs
set_up_logs("info", Redactor(), process="p", readable=False)
structlog.get_logger().info("about", workflow_id="w-1")
structlog.get_logger().info("other")
"""


def logged(text: str, *, readable: bool) -> str:
    """What a process logs about this text: as a value, in a container, from a library, as an error."""
    given = json.dumps([SETTINGS, text, readable])
    done = subprocess.run([sys.executable, "-c", PROGRAM, given], capture_output=True, text=True, check=True)
    return done.stderr


@pytest.mark.parametrize("readable", [True, False], ids=["terminal", "file"])
def test_logs_hold_no_secret(readable: bool) -> None:
    told = logged(" and ".join(SECRETS), readable=readable)
    assert [secret for secret in SECRETS if secret in told] == []
    assert told.count("[secret]") >= 4 * len(SECRETS)


def test_what_names_a_workflow_names_its_trace() -> None:
    argv = [sys.executable, "-c", NAMING]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    about, other = map(json.loads, done.stderr.splitlines())
    assert about["trace_id"] == trace_id_of("w-1")
    assert "trace_id" not in other


def test_logs_on_a_terminal_hold_no_control_character() -> None:
    told = logged("EVIL\x1b[5m\x07\x9b\u202e\u3164", readable=True)
    assert [char for char in ("\x1b[5m", "\x07", "\x9b", "\u202e", "\u3164") if char in told] == []
    assert told.count("EVIL\\x1b[5m\\x07\\x9b\\u202e\\u3164") >= 3


def test_logs_in_a_file_are_json_and_one_line_of_a_library() -> None:
    first, second, third = logged("EVIL\x1b[5m\n\u202e", readable=False).splitlines()[:3]
    assert json.loads(first)["text"] == "EVIL\x1b[5m\n\u202e"
    assert first.isascii()
    assert second == "WARNING foreign said EVIL\\x1b[5m"
    assert third == "\\u202e"


def test_the_logs_of_a_script_are_as_safe() -> None:
    url, text = "redis://:redis-canary-3@127.0.0.1:1/0", "EVIL\x1b[5m redis-canary-3"
    given = json.dumps([url, text])
    done = subprocess.run([sys.executable, "-c", SCRIPT, given], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "EVIL\\x1b[5m [secret]" in done.stderr
    assert "canary" not in done.stderr


def test_every_setting_that_can_hold_a_secret_is_known_to_the_redactor() -> None:
    redact = load_settings(SETTINGS).redactor
    assert [secret for secret in SECRETS if redact(secret) != "[secret]"] == []
