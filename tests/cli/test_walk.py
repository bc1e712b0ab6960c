"""Every setting that is wrong, with some command: one line that names it, the right exit code, no trace."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from multi_agent.settings import Settings
from tests.cli.walk.__main__ import cases
from tests.cli.walk.commands import all_commands
from tests.cli.walk.settings import Wrong, wrong_settings
from tests.cli.walk.walking import Ended, problem
from tests.project.documented import ROOT

SLOTS = Wrong("slots", "MULTI_AGENT_SLOTS", "type", "many", ("MULTI_AGENT_SLOTS",))
AWAY = Wrong("redis_url", "REDIS_URL", "unreachable", "redis://127.0.0.1:1", ("REDIS_URL", "Redis"))
USUAL = Ended(0, "fine", "")


def test_commands_and_settings_that_are_wrong() -> None:
    """The whole matrix is `python -m tests.cli.walk`."""
    walked = subprocess.run(
        [sys.executable, "-m", "tests.cli.walk", "--sample"],
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert walked.returncode == 0, walked.stdout + walked.stderr


def test_every_setting_and_every_command_is_walked() -> None:
    assert {wrong.field for wrong in wrong_settings()} == set(Settings.model_fields)
    sample = list(cases(sample=True))
    assert {str(wrong) for _, _, wrong in sample} == {str(wrong) for wrong in wrong_settings()}
    walked = {name for name, _, _ in cases(sample=False)}
    assert walked == set(all_commands())
    assert len(sample) < len(list(cases(sample=False))) / 10


@pytest.mark.parametrize(
    ("wrong", "ended"),
    [
        (SLOTS, Ended(2, "Error: MULTI_AGENT_SLOTS is 'many'", "Error: MULTI_AGENT_SLOTS is 'many'\n")),
        (SLOTS, USUAL),
        (AWAY, Ended(1, "Error: Redis at x: no answer", "Error: Redis at x: no answer")),
        (AWAY, Ended(None, "waits", "waits")),
    ],
)
def test_what_is_right(wrong: Wrong, ended: Ended) -> None:
    assert problem(wrong, ended, USUAL) is None


@pytest.mark.parametrize(
    ("wrong", "ended"),
    [
        (AWAY, Ended(1, "Traceback (most recent call last): Redis", "")),
        (AWAY, Ended(70, "Redis", "Redis")),
        (AWAY, Ended(1, "Error: no answer", "Error: no answer")),
        (AWAY, Ended(1, "Redis", "Error: Redis\nError: again")),
        (SLOTS, Ended(1, "Error: MULTI_AGENT_SLOTS", "Error: MULTI_AGENT_SLOTS")),
        (SLOTS, Ended(2, "MULTI_AGENT_SLOTS", "usage\nError: MULTI_AGENT_SLOTS")),
    ],
)
def test_what_is_wrong_is_found(wrong: Wrong, ended: Ended) -> None:
    assert problem(wrong, ended, USUAL) is not None
