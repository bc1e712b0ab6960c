"""Servers as they are found, asked by the command: what its user reads, its exit code, how often it asks."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from multi_agent.bootstrap import make_model, make_planner
from multi_agent.settings import Settings
from tests.models.rigs import CANARY
from tests.planner.scripted import GOOD
from tests.support import need
from tests.support.model_server import ModelServer, Raw, Received, Say, Status, Step

REQUEST = "Create a slug function"
PLACEHOLDER = '{"summary": "..."}'


def plan(folder: Path, url: str | None, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """`multi-agent plan`, with a server of this address."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.lower().endswith(("_proxy", "_api_key"))
    }
    chosen = {"MULTI_AGENT_MODEL": "openai:the-model", "OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": url}
    environment = inherited | {
        name: value for name, value in (chosen | variables).items() if value is not None
    }
    return subprocess.run(
        [sys.executable, "-m", "multi_agent.cli", "plan", REQUEST],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def planned(folder: Path, url: str, model: str = "the-model") -> None:
    """The same without a process of its own, for what differs in the dialogue with the server alone."""
    settings = Settings(
        model=f"openai:{model}",
        openai_api_key=SecretStr(CANARY),
        openai_base_url=url,
        data_dir=folder,
    )
    client = make_model(settings)
    try:
        assert (await make_planner(settings, client).plan(REQUEST)).items
    finally:
        await client.close()


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line that the user reads."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert CANARY not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def completion(message: dict[str, Any], finish: str = "stop", **fields: Any) -> Raw:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return Raw(json.dumps({"choices": [choice], **fields}).encode())


def limit(received: Received) -> int:
    return int(received.body.get("max_tokens") or received.body.get("max_completion_tokens") or 0)


def only_up_to(most: int, message: str) -> Callable[[Received], Step]:
    return lambda received: Status(400, message) if limit(received) > most else Say(GOOD)


def refuses(field: str, step: Step) -> Callable[[Received], Step]:
    return lambda received: step if field in received.body else Say(GOOD)


@pytest.mark.parametrize(
    "step",
    [
        Say(f"<think>The shape is {PLACEHOLDER}.</think>{GOOD}"),
        Say(f"The shape is {PLACEHOLDER}.\n</think>\n{GOOD}"),
        Say(
            f"<|channel|>analysis<|message|>{PLACEHOLDER}<|end|><|start|>assistant<|channel|>final<|message|>"
            f"{GOOD}<|return|>"
        ),
        Say(f'I write {PLACEHOLDER}, not f({{"a": x}}):\n{GOOD}'),
        Say(GOOD.replace('"request": "', '"request": "\t')),
        completion(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": PLACEHOLDER}]},
                    {"type": "text", "text": GOOD[:50]},
                    {"type": "text", "text": GOOD[50:]},
                ]
            }
        ),
        completion(
            {"content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": GOOD}}]},
            "tool_calls",
        ),
        completion({"content": GOOD}, usage={"prompt_tokens": None, "completion_tokens": 12.5}),
        completion({"content": GOOD}, usage=None),
    ],
    ids=["thoughts", "no opening tag", "channels", "braces", "a tab", "parts", "tool", "nulls", "no usage"],
)
async def test_a_good_answer_is_used_at_once(
    step: Step, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    structlog.reset_defaults()
    with ModelServer([step]) as server:
        await planned(tmp_path, server.openai_url)
    assert len(server.requests) == 1
    said = "".join(capfd.readouterr())
    assert ("model_usage_unknown" in said) == (b'"choices"' in getattr(step, "body", b""))


def test_a_plan_is_written_and_what_is_unknown_is_said(tmp_path: Path) -> None:
    with ModelServer([completion({"content": GOOD}, usage=None)]) as server:
        done = plan(tmp_path, server.openai_url)
    assert (done.returncode, len(server.requests)) == (0, 1), done.stderr
    assert done.stdout.startswith("plans/")
    assert "model_usage_unknown" in done.stderr


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        (only_up_to(8192, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"), 2),
        (only_up_to(2480, "maximum context length is 4096 tokens, you requested 18000"), 2),
        (
            refuses("max_tokens", Status(400, "use 'max_completion_tokens' instead", param="max_tokens")),
            2,
        ),
        (refuses("temperature", Status(400, "invalid temperature: only 1 is allowed")), 2),
        (refuses("response_format", Status(400, "unknown field")), 3),
        (refuses("response_format", Status(500, "failed to parse grammar")), 3),
    ],
    ids=["max_tokens", "context", "name", "temperature", "schema 400", "schema 500"],
)
async def test_what_a_server_objects_to_is_learned_and_remembered(
    script: Callable[[Received], Step], asked: int, tmp_path: Path
) -> None:
    with ModelServer(script) as server:
        await planned(tmp_path, server.openai_url)
        assert len(server.requests) == asked
        await planned(tmp_path, server.openai_url)
        assert len(server.requests) == asked + 1
        await planned(tmp_path, server.openai_url, "another")
        assert len(server.requests) == 2 * asked + 1, "another model is asked as if nothing were known"


def test_what_one_process_learned_the_next_one_knows(tmp_path: Path) -> None:
    with ModelServer(refuses("temperature", Status(400, "invalid temperature: only 1 is allowed"))) as server:
        for requests in (2, 3):
            assert plan(tmp_path, server.openai_url).returncode == 0
            assert len(server.requests) == requests


def test_what_the_user_says_is_sent_at_once(tmp_path: Path) -> None:
    said = {
        "MULTI_AGENT_MAX_OUTPUT_TOKENS": "20000",
        "MULTI_AGENT_MAX_OUTPUT_TOKENS_NAME": "max_completion_tokens",
        "MULTI_AGENT_MODEL_TEMPERATURE": "off",
        "MULTI_AGENT_MODEL_SCHEMA": "off",
    }
    with ModelServer([Say(GOOD)]) as server:
        assert plan(tmp_path, server.openai_url, **said).returncode == 0
    (received,) = server.requests
    assert set(received.body) == {"model", "messages", "max_completion_tokens"}
    assert received.body["max_completion_tokens"] == 20_000
    assert not (tmp_path / ".multi_agent").exists(), "nothing was learned"


@pytest.mark.parametrize("variable", ["MAX_OUTPUT_TOKENS", "MODEL_TEMPERATURE", "MODEL_SCHEMA"])
def test_settings_that_are_none(variable: str, tmp_path: Path) -> None:
    line = refused(plan(tmp_path, None, **{f"MULTI_AGENT_{variable}": "-x"}), 2)
    assert line.startswith(f"Error: MULTI_AGENT_{variable} is '-x'; set it to ")


def test_an_error_that_comes_with_status_200_is_one(tmp_path: Path) -> None:
    error = Raw(b'{"choices": null, "error": {"message": "Rate limit exceeded", "code": 429}}')
    with ModelServer([error, Say(GOOD)]) as server:
        done = plan(tmp_path, server.openai_url)
    assert (done.returncode, len(server.requests)) == (0, 2)
    assert "HTTP 429: Rate limit exceeded" in done.stderr


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Status(429, "You exceeded your current quota", name="insufficient_quota"), "has no credit left"),
        (
            Status(400, "This model's maximum context length is 1024 tokens. You requested 18000 tokens."),
            "do not fit into the model's 1,024 tokens",
        ),
        (Status(400, "max_tokens is too large", name="bad", param="n"), "MULTI_AGENT_MAX_OUTPUT_TOKENS"),
    ],
    ids=["quota", "context", "other"],
)
def test_what_cannot_be_helped_ends_at_once(step: Status, said: str, tmp_path: Path) -> None:
    with ModelServer(lambda _: step) as server:
        line = refused(plan(tmp_path, server.openai_url, MULTI_AGENT_MODEL_SCHEMA="off"), 1)
    assert said in line
    assert step.message in line
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OPENAI_BASE_URL": "127.0.0.1:1/v1"}, "OPENAI_BASE_URL is '127.0.0.1:1/v1', which is no address"),
        ({"OPENAI_BASE_URL": '"http://127.0.0.1:1/v1"'}, "no quotes or spaces"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:99999/v1"}, "which is no address"),
        ({"OPENAI_BASE_URL": f"u:{CANARY}@127.0.0.1/v1"}, "is '127.0.0.1/v1', which is no address"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1/chat/completions"}, "leave out /chat/completions"),
        ({"OPENAI_API_KEY": f"{CANARY}\n"}, "OPENAI_API_KEY holds a line end"),
        ({"OPENAI_API_KEY": f"“{CANARY}”"}, "OPENAI_API_KEY holds a space or another character"),
        ({"ALL_PROXY": "socks5://127.0.0.1:1080"}, "pip install socksio, or unset ALL_PROXY"),
        ({"https_proxy": "ftp://127.0.0.1:1080"}, "HTTPS_PROXY begins with 'ftp'"),
        ({"MULTI_AGENT_MODEL": "gpt-4"}, "unknown model 'gpt-4'"),
        ({"OPENAI_API_KEY": None, "OPENAI_BASE_URL": None}, "needs an API key: set OPENAI_API_KEY"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_told_before_anything_is_sent(
    variables: dict[str, str | None], said: str, tmp_path: Path
) -> None:
    line = refused(plan(tmp_path, "http://127.0.0.1:1/v1", **variables), 2)
    assert said in line


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key."""
    need(shutil.which("openssl") is not None, "openssl")
    folder = tmp_path_factory.mktemp("tls")
    made = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "key.pem", "-out", "certificate.pem")
    named = ("-subj", "/CN=elsewhere", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(["openssl", "req", "-x509", *made, *named], cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
    return both


def test_certificates(certificate: Path, tmp_path: Path) -> None:
    with ModelServer([Say(GOOD)], certificate=certificate) as server:
        line = refused(plan(tmp_path, server.openai_url), 2)
        assert "the certificate is not trusted (self-signed certificate)" in line
        assert "SSL_CERT_FILE" in line
        another = server.openai_url.replace("127.0.0.1", "localhost")
        trusted = {"SSL_CERT_FILE": str(certificate.with_name("certificate.pem"))}
        line = refused(plan(tmp_path, another, **trusted), 2)
        assert "certificate is for another name; put that name into OPENAI_BASE_URL" in line
        assert not server.requests
        assert plan(tmp_path, server.openai_url, **trusted).returncode == 0


def test_tls_where_none_is_spoken(tmp_path: Path) -> None:
    with ModelServer([]) as server:
        line = refused(plan(tmp_path, server.openai_url.replace("http:", "https:")), 2)
    assert "no TLS is spoken there; begin OPENAI_BASE_URL with http://" in line


def test_nobody_listens(tmp_path: Path) -> None:
    with ModelServer([]) as server:
        pass
    line = refused(plan(tmp_path, server.openai_url), 1)
    assert f"at {server.url.partition('//')[2]}: connection refused; nothing listens there" in line


def test_a_proxy_that_is_away_is_named(tmp_path: Path) -> None:
    with ModelServer([]) as gone:
        pass
    with ModelServer([Say(GOOD)]) as server:
        line = refused(plan(tmp_path, server.openai_url, http_proxy=gone.url), 1)
        assert f"through the proxy {gone.url.partition('//')[2]}: connection refused" in line
        assert plan(tmp_path, server.openai_url, http_proxy=gone.url, no_proxy="127.0.0.1").returncode == 0
    assert len(server.requests) == 1


def test_a_key_that_the_server_does_not_know(tmp_path: Path) -> None:
    with ModelServer([], about_models=401) as server:
        line = refused(plan(tmp_path, server.openai_url), 2)
    assert "HTTP 401, the API key is missing or wrong" in line
    assert not server.requests


def test_a_list_goes_on_where_one_of_it_is_away(tmp_path: Path) -> None:
    with ModelServer([]) as gone:
        pass
    named = {"MULTI_AGENT_MODEL": "anthropic:one,openai:two", "ANTHROPIC_BASE_URL": gone.url}
    with ModelServer([Say(GOOD)]) as server:
        done = plan(tmp_path, server.openai_url, **named)
    assert (done.returncode, len(server.requests)) == (0, 1), done.stderr
    first, *logged = done.stderr.splitlines()
    assert first.startswith("another model of the list is asked instead: model anthropic:one at 127.0.0.1:")
    assert first.endswith("connection refused; nothing listens there")
    assert any("model_passed_over" in line for line in logged)


def test_a_key_that_is_refused_with_the_first_request(tmp_path: Path) -> None:
    with ModelServer(lambda _: Status(401, f"no {CANARY} here")) as server:
        line = refused(plan(tmp_path, server.openai_url), 1)
    assert "API key is missing or wrong" in line
    assert len(server.requests) == 1


def test_no_model_is_set(tmp_path: Path) -> None:
    done = plan(tmp_path, None, MULTI_AGENT_MODEL=None, OPENAI_API_KEY=None)
    assert done.returncode == 2
    program = shlex.quote(str(Path(sys.executable).with_name("multi-agent")))
    assert done.stderr.replace(program, "multi-agent").splitlines() == [
        "Error: no model is set, and only recorded requests can do without:",
        "  Create momentum strategy",
        "  Create a simple SMA crossover strategy",
        "For a request of your own set one, in one of four ways:",
        "  GEMINI_API_KEY=... multi-agent plan 'Create a slug function'",
        "  ANTHROPIC_API_KEY=... multi-agent plan 'Create a slug function' --model anthropic:NAME",
        "  OPENAI_BASE_URL=http://127.0.0.1:11434/v1 multi-agent plan 'Create a slug function' "
        "--model openai:NAME  # or OPENAI_API_KEY=...",
        "  multi-agent plan 'Create a slug function' --model manual:chat  "
        "# you are the model: prompts appear in the folder chat",
    ]
    assert list(tmp_path.iterdir()) == []
