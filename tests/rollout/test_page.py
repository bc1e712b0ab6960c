"""docs/rollout.md: its program and plan work as they stand, and a rollback is heard of in every process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from multi_agent.rollout.plan import RolloutPlan
from tests.e2e.conftest import Cli
from tests.project.documented import ROOT

PAGE = (ROOT / "docs" / "rollout.md").read_text("utf-8")
ARMS = """
import sys, time
def my_agent(request): return "legacy"
def new_agent(request): return ArmAnswer("ours", cost_usd=0.1, findings=0)
"""
ON = """
while answer != "legacy":
    print(answer, flush=True)
    time.sleep(0.02)
    answer = splitter.call("again", key="customer-17")
print(answer, time.time(), flush=True)
splitter.close()
"""


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_plan_of_the_page_is_the_usual_one() -> None:
    assert RolloutPlan.model_validate_json(block("json")) == RolloutPlan()


def test_programs_in_several_processes_hear_of_a_rollback(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    (tmp_path / "plan.json").write_text(json.dumps({"stages": [{"percent": 100, "hours": 1}]}))
    cli("rollout", "start", "first-try", "--plan", "plan.json")
    cli.env["MULTI_AGENT_ROLLOUT_TOKEN"] = "secret"
    served = cli.start("rollout", "serve", "--port", "0")
    try:
        url = _listening(served)
        program = block("python").partition("\n\n")
        code = f"{program[0]}{ARMS}{program[2]}{ON}"
        env = {**os.environ, "MULTI_AGENT_ROLLOUT_URL": url, "MULTI_AGENT_ROLLOUT_TOKEN": "secret"}
        started = [
            subprocess.Popen(
                [sys.executable, "-c", code], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        for one in started:
            assert one.stdout is not None
            assert one.stdout.readline() == "ours\n"
        cli("rollout", "rollback", "--reason", "answers were wrong")
        rolled_back = time.time()
        for one in started:
            said, _ = one.communicate(timeout=30)
            word, at = said.splitlines()[-1].split()
            assert word == "legacy"
            assert float(at) - rolled_back < 5, "a second is the promise; this machine may be a slow one"
        status = json.loads(cli("rollout", "status", "--json").stdout)
        assert status["state"] == "rolled_back"
        assert status["multi_agent"]["requests"] >= 3
        assert status["multi_agent"]["rating"] == 5
    finally:
        served.kill()
        served.communicate()


def _listening(served: subprocess.Popen[str]) -> str:
    assert served.stdout is not None
    for line in served.stdout:
        if found := re.search(r"url=\s*(http://\S+)|\"url\": \"(http://[^\"]+)", line):
            return found[1] or found[2]
    raise AssertionError("it ended")
