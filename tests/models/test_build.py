from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

import multi_agent.models
from contracts.base.errors import NotConfigured, ReplayMiss
from multi_agent.models import MODEL_FORMS, ModelSettings, build_model
from tests.models.rigs import CANARY, asking


@pytest.mark.parametrize(
    "spec", ["", "gpt-4", "openai", "gemini:", "record:", "record:x", "record:x:record:y:replay"]
)
def test_unknown_specification_lists_the_forms(spec: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        build_model(ModelSettings(spec=spec))
    assert all(form in str(caught.value) for form in MODEL_FORMS)


@pytest.mark.parametrize(
    ("spec", "setting"),
    [
        ("gemini:m", "GEMINI_API_KEY"),
        ("gemini-legacy:m", "GEMINI_API_KEY"),
        ("openai:m", "OPENAI_API_KEY"),
        ("anthropic:m", "ANTHROPIC_API_KEY"),
    ],
)
def test_missing_key_names_the_setting(spec: str, setting: str) -> None:
    for key in (None, SecretStr("")):
        with pytest.raises(NotConfigured, match=f"set {setting}"):
            build_model(
                ModelSettings(spec=spec, gemini_api_key=key, openai_api_key=key, anthropic_api_key=key)
            )


@pytest.mark.parametrize(
    "name",
    ["timeout_seconds", "max_attempts", "max_answer_bytes", "requests_per_minute", "tokens_per_minute"],
)
def test_limits_must_make_sense(name: str) -> None:
    settings = ModelSettings(spec="openai:m", openai_api_key=SecretStr("k"), **{name: 0})  # type: ignore[arg-type]  # one of several types
    with pytest.raises(NotConfigured, match=f"{name} is 0"):
        build_model(settings)


@pytest.mark.parametrize(
    ("spec", "package", "extra"),
    [
        ("gemini:m", "google.genai", "gemini"),
        ("gemini-legacy:m", "google.generativeai", "gemini-legacy"),
        ("openai:m", "openai", "openai"),
        ("anthropic:m", "anthropic", "anthropic"),
    ],
)
def test_missing_extra_says_how_to_install_it(spec: str, package: str, extra: str) -> None:
    code = f"""
import sys
sys.modules[{package!r}] = None
from pydantic import SecretStr
from contracts.base.errors import NotConfigured
from multi_agent.models import ModelSettings, build_model
try:
    keys = dict.fromkeys(("gemini_api_key", "openai_api_key", "anthropic_api_key"), SecretStr("k"))
    build_model(ModelSettings(spec={spec!r}, **keys))
except NotConfigured as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip().endswith(f"install it with: pip install 'multi-agent[{extra}]'")


def test_no_sdk_is_imported_before_it_is_chosen() -> None:
    code = (
        "import sys; from multi_agent.models import ModelSettings, build_model; build_model(ModelSettings());"
        "sdks = ('openai', 'anthropic', 'google.genai', 'google.generativeai');"
        "print([name for name in sdks if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


async def test_default_is_the_shipped_recordings() -> None:
    client = build_model(ModelSettings())
    with pytest.raises(ReplayMiss, match=r"no recorded answer for nobody\.asks"):
        await client.complete(asking(purpose="nobody.asks"))


def test_manual_folder_is_created(tmp_path: Path) -> None:
    assert build_model(ModelSettings(spec=f"manual:{tmp_path / 'a' / 'b'}")).name == "manual"
    assert (tmp_path / "a" / "b").is_dir()


def test_folder_in_the_way_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for spec in (f"manual:{tmp_path / 'file'}", f"record:{tmp_path / 'file'}:replay"):
        with pytest.raises(NotConfigured, match="file"):
            build_model(ModelSettings(spec=spec))


def test_settings_do_not_show_the_key() -> None:
    settings = ModelSettings(gemini_api_key=SecretStr(CANARY), openai_api_key=SecretStr(CANARY))
    assert CANARY not in f"{settings!r} {settings}"


def test_public_names() -> None:
    assert multi_agent.models.__all__ == [
        "MODEL_FORMS",
        "Asked",
        "ModelSettings",
        "build_model",
        "check_model",
        "check_price",
        "check_service",
        "model_prices",
        "price_lines",
        "service_models",
        "told",
        "unpriced",
    ]
