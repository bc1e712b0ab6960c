"""A repository says how to work in it: what it says is told, kept, and never widens anything."""

from __future__ import annotations

import json
from pathlib import Path

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli
from tests.e2e.person import answering, reviewed, steps

SETTINGS = '[tool.multi-agent]\ntest = "pytest -q"\nprotected = ["migrations/"]\nmodel = "gemini:gemini-x"\n'


def _plan(*paths: str) -> dict[str, object]:
    code = {"task_id": "code", "title": "mend", "agent_role": "coder", "output_artifacts": list(paths)}
    look = {"task_id": "look", "title": "look", "agent_role": "reviewer", "dependencies": ["code"]}
    return {"todo_list_id": "p", "request": "r", "items": [code, look]}


def _repository(cli: Cli, **names: str) -> Path:
    cli.write({f"repo/{name.replace('__', '.')}": text for name, text in names.items()})
    git(cli.folder, "init", "-q", str(cli.folder / "repo"))
    commit_all(cli.folder / "repo")
    return cli.folder / "repo"


def test_a_run_tells_and_keeps_them_and_the_user_comes_first(cli: Cli) -> None:
    skill = "---\nname: release\ndescription: Makes a release.\n---\nTag it.\n"
    others = {"__agents/skills/a/SKILL__md": skill, "__claude/skills/b/SKILL__md": skill}
    _repository(cli, pyproject__toml=SETTINGS, **others)
    prompts = cli.folder / "prompts"
    script = {
        "planner.plan": [_plan("migrations/a.py"), _plan("out.py"), _plan("out.py")],
        "coder.step": [*steps("mended", migrations__a="x = 1\n")[:1], *steps("mended", out="x = 1\n")],
        "reviewer.step": reviewed(approved=True, summary="good"),
    }
    with answering(prompts, script):
        ended = cli("run", "Mend it", "--repo", "repo", "--plan", "full", "--model", f"manual:{prompts}")
    told = "test: pytest -q; protected: migrations/; model: gemini:gemini-x"
    assert f"settings of the repository: {told} (pyproject.toml)" in ended.stdout
    assert "skills of the repository: release" in ended.stdout
    reason = "its name 'release' is that of .agents/skills/a/SKILL.md"
    assert f"skill not offered: .claude/skills/b/SKILL.md: {reason}" in ended.stdout
    assert "  settings   of the repository: test: pytest -q; protected: migrations/; model:" in ended.stdout
    texts = [path.read_text() for path in sorted(prompts.glob("*.prompt.md"))]
    assert '"settings": [\n  "test: pytest -q",' in texts[0]
    assert "path 'migrations/a.py' is protected" in texts[1], "the planner is told"
    coder = [text for text in texts if "## What this repository says about changes" in text]
    assert "path 'migrations/a.py' is" in coder[1], "and so is the coder"


def test_its_model_is_used_where_the_user_names_none(cli: Cli) -> None:
    _repository(cli, pyproject__toml=SETTINGS)
    refused = cli("run", "Mend it", "--repo", "repo", code=2)
    assert "model 'gemini:gemini-x'" in refused.stderr or "GEMINI_API_KEY" in refused.stderr


def test_a_plan_that_writes_what_is_protected_is_refused_before_anything_starts(cli: Cli) -> None:
    _repository(cli, **{"__multi-agent__toml": 'protected = ["migrations/"]\n'})
    cli.write({"plan.json": json.dumps(_plan("migrations/"))})
    for command in (["run", "--plan", "plan.json"], ["submit", "plan.json"]):
        refused = cli(*command, "--repo", "repo", code=2)
        assert "$.items[0].output_artifacts[0]: path 'migrations/' is protected" in refused.stderr
    assert not (cli.folder / ".multi_agent").exists()


def test_a_mistake_is_one_line_and_nothing_starts(cli: Cli) -> None:
    _repository(cli, **{"__multi-agent__toml": 'tset = "pytest"\n'})
    refused = cli("run", "Mend it", "--repo", "repo", "--model", "manual", code=2)
    assert refused.stderr == "Error: .multi-agent.toml: 'tset' is no setting; did you mean 'test'?\n"
