"""A run that starts from a repository: planner and agents are shown what the request is about."""

from __future__ import annotations

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli
from tests.e2e.person import answering, reviewed, steps

MANY = {f"repo/src/a{number:03}.py": f"def part{number}():\n    return {number}\n" for number in range(60)}
BASE = MANY | {
    "repo/src/zones.py": "class Zone:\n    def leap_seconds(self):\n        return 27\n",
    "repo/src/zz.py": "from src.zones import Zone\n",
}
PLAN = {
    "todo_list_id": "p",
    "request": "r",
    "items": [
        {"task_id": "code", "title": "mend", "agent_role": "coder", "output_artifacts": ["out.py"]},
        {"task_id": "look", "title": "look", "agent_role": "reviewer", "dependencies": ["code"]},
    ],
}


def test_planner_and_agents_see_the_map_and_the_files_of_the_request(cli: Cli) -> None:
    cli.write(BASE)
    repo = cli.folder / "repo"
    git(cli.folder, "init", "-q", str(repo))
    commit_all(repo)
    prompts = cli.folder / "prompts"
    script = {
        "planner.plan": [PLAN] * 3,
        "coder.step": steps("mended", out="x = 1\n"),
        "reviewer.step": reviewed(approved=True, summary="good"),
    }
    with answering(prompts, script):
        words = ("--repo", "repo", "--plan", "full", "--model", f"manual:{prompts}")
        cli("run", "Leap seconds of a zone are wrong", *words)
    texts = {path.name.split("-")[1]: path.read_text() for path in sorted(prompts.glob("*.prompt.md"))}
    assert '"map_for_the_request": [\n  "src/zones.py",' in texts["planner.plan"]
    for purpose in ("coder.step", "reviewer.step"):
        shown = texts[purpose].partition("## Map of the repository")[2]
        assert shown.partition("```\n")[2].startswith("src/zones.py\n     1 class Zone:\n"), purpose
    assert "```\nA out.py\n```" in texts["reviewer.step"]
    assert (
        "\n# user\n\nStep 1 of 60 is done. 59 left.\n\nwrite:\n```\nout.py is written, 1 lines\n"
        in texts["coder.step"]
    )
