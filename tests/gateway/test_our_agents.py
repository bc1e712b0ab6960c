"""Our own agents ask through the gateway as any other caller does."""

from __future__ import annotations

import pytest

from contracts.ports.model import ModelMessage, ModelRequest
from multi_agent.models import ModelSettings, build_model
from tests.gateway.fake_service import FakeService
from tests.gateway.rigs import gateway_over


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_an_adapter_needs_no_key_of_a_service(kind: str) -> None:
    async with gateway_over(FakeService(), of="gemini") as rig:
        settings = ModelSettings(
            spec=f"{kind}:mine", openai_base_url=f"{rig.url}/v1", anthropic_base_url=rig.url, max_attempts=1
        )
        model = build_model(settings)
        answer = await model.complete(ModelRequest("coder.write", "Write.", (ModelMessage("user", "Hi"),)))
        await model.close()
    assert (answer.text, answer.input_tokens, answer.output_tokens) == ("Hello, world.", 11, 7)
