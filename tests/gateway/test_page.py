"""docs/gateway.md: its commands are typed as they stand, and what they start answers."""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from contextlib import chdir
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from multi_agent.cli import cli as multi_agent
from tests.e2e.conftest import Cli
from tests.gateway.fake_service import FakeService, serving
from tests.gateway.rigs import CANARY, gateway_over
from tests.gateway.test_gateway import CHAT, MESSAGES, post
from tests.project.documented import ROOT, commands_of

PAGE = ROOT / "docs" / "gateway.md"
LEADS = {
    "--model openai:gpt-5": {"other": "gpt-5"},
    "small": {
        "claude-opus-9": "gpt-5",
        "claude-sonnet-9": "gpt-5-mini",
        "claude-haiku-9": "gemini-2.5-flash",
    },
    "map": {"gpt-9": "gpt-9", "fast": "gemini-2.5-flash", "claude-9": "claude-9"},
}
"""By what is typed: which model is asked for which name."""


async def test_the_page(tmp_path: Path) -> None:
    typed = [words[1:] for words in commands_of(PAGE.read_text("utf-8")) if words[0] == "multi-agent"]
    cli = Cli(tmp_path)
    async with serving(FakeService()) as service:
        cli.env |= {
            "MULTI_AGENT_GATEWAY_PORT": "0",
            "MULTI_AGENT_GATEWAY_LOG_BODIES": "true",
            "OPENAI_BASE_URL": f"{service.url}/v1",
            "ANTHROPIC_BASE_URL": service.url,
            "MULTI_AGENT_GEMINI_BASE_URL": service.url,
            **{name: CANARY for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")},
        }
        try:
            with chdir(tmp_path):
                await _typed(cli, typed, service)
        finally:
            for process in cli.started:
                if process.poll() is None:
                    process.kill()
                    process.communicate()


async def _typed(cli: Cli, typed: list[tuple[str, ...]], service: FakeService) -> None:
    keys = [words for words in typed if words[0] == "gateway-key"]
    removing = next(words for words in keys if "--remove" in words)
    told = [_printed(words) for words in keys if words != removing]
    made, *listed = [one.strip() for one in told]
    assert "usd per day $8.0000: $0.0000 spent, $8.0000 left" in listed[-1]
    started = [(words, cli.start(*words)) for words in typed if words[0] == "gateway"]
    assert len(started) == 4
    for words, process in started:
        assert process.stdout is not None
        told = json.loads(await asyncio.to_thread(process.stdout.readline))
        assert told["event"] == "gateway_listening"
        leads = next((names for sign, names in LEADS.items() if re.search(sign, " ".join(words))), {})
        url, key = f"{told['url']}/v1/chat/completions", made if "--keys" in words else "any"
        for asked, sent in ({"claude-x": "gpt-5"} if "--keys" in words else leads).items():
            body = {**CHAT, "model": asked, "user": "my-session"}
            status, _, _ = await post(url, body, authorization=f"Bearer {key}")
            path, _, got = service.asked[-1]
            assert (status, sent in f"{path}{got.get('model')}") == (200, True), (words, asked)
        if "--keys" in words:
            _printed(removing)
            assert (await post(url, {**CHAT, "model": "claude-x"}, authorization=f"Bearer {key}"))[0] == 401
        process.terminate()
        assert CANARY not in (await asyncio.to_thread(process.communicate))[0]
        assert process.returncode == 0
    shown = {words: _printed(words) for words in typed if words[0] == "debug"}
    assert [what for what in shown.values() if "openai:gpt-5" not in what] == [
        "0 of 1 requests went wrong\n",
        "wrote recorded/recording.json: 1 answers to 8 requests\n",
    ]


def _printed(words: tuple[str, ...]) -> str:
    """What a command that starts nothing prints."""
    ended = CliRunner().invoke(multi_agent, words, standalone_mode=False, catch_exceptions=False)
    return ended.output


async def test_what_agents_are_told_leads_to_the_gateway() -> None:
    text = PAGE.read_text("utf-8")
    codex = tomllib.loads(_block(text, "toml"))
    provider = codex["model_providers"][codex["model_provider"]]
    opencode = json.loads(_block(text, "json"))
    name, _, model = opencode["model"].partition("/")
    options = opencode["provider"][name]["options"]
    assert model in opencode["provider"][name]["models"]
    base = re.search(r"\*\*Claude Code\*\*.*`ANTHROPIC_BASE_URL=([^`]+)`", text)
    assert base is not None
    asked: list[tuple[str, dict[str, Any]]] = [
        (f"{base[1]}/v1/messages", MESSAGES),
        (f"{provider['base_url']}/{provider['wire_api']}", {"model": codex["model"], "input": "Hi"}),
        (f"{options['baseURL']}/chat/completions", {**CHAT, "model": model}),
    ]
    async with gateway_over(FakeService()) as rig:
        for url, body in asked:
            assert (await post(url.replace("http://127.0.0.1:8040", rig.url), body))[0] == 200


def _block(text: str, kind: str) -> str:
    return text.partition(f"```{kind}\n")[2].partition("```")[0]
