"""A stranger's agent of ten lines works, from the module to the commit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agents.sdk.registry import discover
from artifacts import GitArtifactStore
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.documents.reports import ArtifactMetadata
from contracts.messages.channels import Channels
from contracts.messages.events import encode
from contracts.ports.artifacts import PendingCommit
from tests.agents.owner import Owner, running, worker
from tests.agents.support import CREATED_AT, ScriptedModel, request_event, task_request

TRANSLATOR = '''\
from agents import AgentResult, Task, agent


@agent(role="translator", tags=("fr",))
class Translator:
    """Takes README.md; gives README.fr.md."""

    async def run(self, task: Task) -> AgentResult:
        reply = await task.ask("Translate this into French.", task.files["README.md"])
        return AgentResult(files={"README.fr.md": reply}, summary="translated")
'''


async def _readme(store: GitArtifactStore) -> str:
    metadata = ArtifactMetadata(
        workflow_id="w1",
        task_id="t0",
        correlation_id="c",
        agent_role="coder",
        agent_version="1.0",
        timestamp="2025-06-15T15:06:40Z",
    )
    files: dict[str, bytes | None] = {"README.md": b"Hello\n"}
    [name] = await store.write(
        [PendingCommit("w1", "t0", 1, "e0", (), files, metadata, "A readme", CREATED_AT)]
    )
    return name


async def test_ten_lines_are_enough(
    tmp_path: Path, store: GitArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strangers_translator.py").write_text(TRANSLATOR)
    monkeypatch.syspath_prepend(str(tmp_path))
    agents = discover(["strangers_translator"])
    sys.modules.pop("strangers_translator")
    broker = MemoryBroker()
    bus, owners = MemoryBus(broker), MemoryBus(broker)
    owner = await Owner.on(owners)
    stream = Channels.requests("translator", "fr")
    await owner.serve(stream, Channels.requests("translator"))
    request = task_request(
        role="translator", required_tag="fr", writable=["README.fr.md"], parents=[await _readme(store)]
    )
    model = ScriptedModel("Bonjour\n")
    async with running(worker(bus, store, *agents, model=model, roles=("translator",))):
        await owner.dispatch_raw(encode(request_event(request)), stream=stream)
        outcome = await owner.outcome()
    assert outcome.status == "succeeded"
    tree = await store.read_tree(outcome.commit or "")
    assert tree["README.fr.md"] == b"Bonjour\n"
    assert "Hello" in model.requests[0].messages[0].text
    await owner.close()
    await bus.close()
    await owners.close()
