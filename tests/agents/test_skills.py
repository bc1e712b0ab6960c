"""Skills of a repository are offered by name and description, and read when they are asked for."""

from __future__ import annotations

import json
import time

import pytest

from agents.roles.coder import CoderAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.registry import agent_info
from agents.sdk.skills import MAX_BYTES, MAX_DESCRIPTION, MAX_LIST, MOST, find_skills
from agents.worker.commits import pending_commit
from artifacts import GitArtifactStore
from contracts.base.errors import InvalidInput
from contracts.ports.artifacts import RefMove
from tests.agents.support import ScriptedModel, TaskMaker, code

GOOD = b"---\nname: release\ndescription: Makes a release.\n---\n\n# How\n\nTag it.\n"


def _at(name: str, folder: str = ".agents") -> str:
    return f"{folder}/skills/{name}/SKILL.md"


def _one(raw: bytes) -> tuple[str, str] | str:
    """Name and description of a file, or why it is left out."""
    found = find_skills({_at("x"): raw})
    if found.offered:
        return found.offered[0].name, found.offered[0].description
    return found.left_out[0].partition(": ")[2]


@pytest.mark.parametrize(
    ("front", "description"),
    [
        ("description: Plain text: with a colon  # and a remark", "Plain text: with a colon"),
        ("description: 'It''s quoted'", "It's quoted"),
        ('description: "Two\\nlines \\"of\\" it"', 'Two lines "of" it'),
        ("description: goes on\n  in the next line", "goes on in the next line"),
        ("description: >-\n  folded\n  text", "folded text"),
        ("description: |\n  kept\n  text", "kept text"),
        ("metadata:\n  name: other\n  description: other\ndescription: own", "own"),
        ("allowed-tools: [a, b]\ndescription: own\nlicense: x", "own"),
        ("description: with \x1b[31m colour", "with \\x1b[31m colour"),
    ],
)
def test_front_matter_is_read(front: str, description: str) -> None:
    assert _one(f"---\nname: a-1\n{front}\n---\ntext\n".encode()) == ("a-1", description)


NO_NAME = "needs a name of at most 64 small letters, digits and inner hyphens"
NO_DESCRIPTION = "needs a description, as text"
NO_FRONT = "does not begin with `---`, a name, a description and `---`"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"# How\n", NO_FRONT),
        (b"", NO_FRONT),
        (b"---\nname: a\ndescription: b\n", NO_FRONT),
        (b"---\nname: a\ndescription: " + b"b" * 9_000 + b"\n---\n", NO_FRONT),
        (b"---\ndescription: b\n---\n", NO_NAME),
        (b"---\nname: ../up\ndescription: b\n---\n", NO_NAME),
        (b"---\nname: Loud\ndescription: b\n---\n", NO_NAME),
        (b"---\nname: " + b"a" * 65 + b"\ndescription: b\n---\n", NO_NAME),
        (b"---\nname: a\n---\n", NO_DESCRIPTION),
        (b"---\nname: a\ndescription: ''\n---\n", NO_DESCRIPTION),
        (b"---\nname: a\ndescription: &x [*x, *x]\n---\n", NO_DESCRIPTION),
        (b"---\nname: a\ndescription: !!python/object/apply:os.system ['id']\n---\n", NO_DESCRIPTION),
        (b"---\nname: a\ndescription: {a: b}\n---\n", NO_DESCRIPTION),
        (b"---\nname: a\ndescription:\n  - b\n---\n", NO_DESCRIPTION),
        (b"---\nname: \xff\n---\n", "is not UTF-8"),
        (GOOD + b" " * MAX_BYTES, f"has {len(GOOD) + MAX_BYTES:,} bytes, the limit is {MAX_BYTES:,}"),
    ],
)
def test_what_cannot_be_offered_is_left_out_with_its_reason(raw: bytes, reason: str) -> None:
    assert _one(raw) == reason


def test_a_long_description_is_cut_and_long_lists_end() -> None:
    raw = b"---\nname: n%03d\ndescription: " + b"words " * 1_000 + b"\n---\n"
    found = find_skills({_at(f"n{number:03}"): raw % number for number in range(MOST + 5)})
    assert {len(skill.description) for skill in found.offered} == {MAX_DESCRIPTION}
    assert len(found.offered) == MAX_LIST // (MAX_DESCRIPTION + 4)
    assert found.left_out[0].endswith(f"names and descriptions have more than {MAX_LIST:,} characters")
    assert found.left_out[-1] == f"5 more: at most {MOST} are read"


def test_of_two_with_one_name_that_of_the_first_folder_is_offered_and_that_is_said() -> None:
    other = GOOD.replace(b"Makes", b"Undoes")
    files = {_at("z", ".claude"): other, _at("a", ".claude"): other, _at("release"): GOOD, _at("x/y"): GOOD}
    found = find_skills(files)
    assert [skill.path for skill in found.offered] == [_at("release")]
    reason = f"its name 'release' is that of {_at('release')}"
    assert found.left_out == (f"{_at('a', '.claude')}: {reason}", f"{_at('z', '.claude')}: {reason}")


def test_no_front_matter_takes_long() -> None:
    before = time.process_time()
    for raw in (b"---\n" * 25_000, b"---\n" + b"name: 'a\n" * 11_000, b"---\nname: " + b"'" * 99_000):
        _one(raw)
    assert time.process_time() - before < 1


async def test_they_are_shown_as_data_recorded_and_read_when_asked_for(store: GitArtifactStore) -> None:
    model = ScriptedModel(code(a="x = 1\n"))
    files = {_at("release"): GOOD, _at("tables", ".claude"): GOOD.replace(b"release", b"tables"), "b.py": b""}
    task = TaskMaker(model)(base=BaseTree(files), writable=("a.py",))
    result = await CoderAgent().run(task)
    shown = model.requests[0].messages[0].text.partition("## Skills of this repository")[2]
    assert "```\n- release: Makes a release.\n- tables: Makes a tables.\n```" in shown
    assert "Tag it." not in shown.partition("## Files so far")[0]
    assert task.skill("release") == "# How\n\nTag it."
    with pytest.raises(InvalidInput, match=r"skill 'relaese': is not offered; there are release, tables"):
        task.skill("relaese")
    [written] = await store.write([pending_commit(task, result, agent_info(CoderAgent), "e1", "c1")])
    record = json.loads((await store.read_records("w1", written))["t1"])
    assert record["skills"] == [_at("release"), _at("tables", ".claude")]
    await store.publish([RefMove("w1", "t1", written)])
    [info] = await store.history("w1")
    assert info.trailers["Skills"] == f"{_at('release')}, {_at('tables', '.claude')}"


async def test_without_any_a_prompt_and_a_record_are_as_they_were(store: GitArtifactStore) -> None:
    model = ScriptedModel(code(a="x = 1\n"))
    task = TaskMaker(model)(base=BaseTree({"skills/a/SKILL.md": GOOD}), writable=("a.py",))
    result = await CoderAgent().run(task)
    assert "Skills" not in model.requests[0].messages[0].text.partition("## Files so far")[0]
    [written] = await store.write([pending_commit(task, result, agent_info(CoderAgent), "e1", "c1")])
    assert "skills" not in json.loads((await store.read_records("w1", written))["t1"])
