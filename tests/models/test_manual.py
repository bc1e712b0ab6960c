from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.base.errors import ModelRefused
from contracts.ports.model import ModelRequest
from contracts.ports.request_hash import request_hash
from multi_agent.models.adapters.manual import ManualFiles, ManualTerminal
from tests.models.rigs import asking, list_files

REQUEST = asking("What is 6 x 7?")


async def prompts(folder: Path, count: int) -> list[Path]:
    async with asyncio.timeout(20):
        while len(found := list_files(folder, "*.prompt.md")) < count:  # noqa: ASYNC110 - other processes write
            await asyncio.sleep(0.01)
    return found


def answer_file(prompt: Path, ending: str = "txt") -> Path:
    return prompt.with_name(prompt.name.replace(".prompt.md", f".answer.{ending}"))


async def test_prompt_and_answer(tmp_path: Path) -> None:
    client = ManualFiles(tmp_path / "new", poll_seconds=0.01)
    task = asyncio.create_task(client.complete(REQUEST))
    (prompt,) = await prompts(tmp_path / "new", 1)
    assert prompt.name == f"001-coder.write-{request_hash(REQUEST)[:8]}.prompt.md"
    text = prompt.read_text()
    assert request_hash(REQUEST) in text
    assert "# system\n\nYou write code.\n\n# user\n\nWhat is 6 x 7?" in text
    answer_file(prompt, "json").write_text("```json\n42\n```\n")
    assert (await task).text == "```json\n42\n```\n"


async def test_unfinished_answers_are_not_read(tmp_path: Path) -> None:
    client = ManualFiles(tmp_path, poll_seconds=0.01)
    task = asyncio.create_task(client.complete(REQUEST))
    (prompt,) = await prompts(tmp_path, 1)
    answer_file(prompt, "md").touch()
    answer_file(prompt, "md.tmp").write_text("half")
    answer_file(prompt, "md~").write_text("backup")
    done, _ = await asyncio.wait([task], timeout=0.2)
    assert not done
    answer_file(prompt, "md").write_text("whole")
    assert (await task).text == "whole"


async def test_an_answer_that_still_grows_is_waited_for(tmp_path: Path) -> None:
    task = asyncio.create_task(ManualFiles(tmp_path, poll_seconds=0.2).complete(REQUEST))
    (prompt,) = await prompts(tmp_path, 1)
    for size in range(1, 101):
        answer_file(prompt).write_text("x" * size)
        await asyncio.sleep(0.005)
    assert (await task).text == "x" * 100


async def test_asked_again_it_finds_the_answer(tmp_path: Path) -> None:
    first = asyncio.create_task(ManualFiles(tmp_path, poll_seconds=0.01).complete(REQUEST))
    (prompt,) = await prompts(tmp_path, 1)
    answer_file(prompt).write_text("42")
    assert await first == await ManualFiles(tmp_path, poll_seconds=0.01).complete(REQUEST)
    assert await prompts(tmp_path, 1) == [prompt]


async def test_numbers_go_on(tmp_path: Path) -> None:
    requests = [asking(f"{number}", purpose=purpose) for number in range(3) for purpose in ("a.b", "c/d e")]
    client = ManualFiles(tmp_path, poll_seconds=0.01)
    tasks = [asyncio.create_task(client.complete(request)) for request in requests]
    found = await prompts(tmp_path, 6)
    assert [path.name[:4] for path in found] == ["001-", "002-", "003-", "004-", "005-", "006-"]
    assert sum("-c_d_e-" in path.name for path in found) == 3
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


ASKER = """
import asyncio, sys
from pathlib import Path
from tests.models.rigs import asking
from multi_agent.models.adapters.manual import ManualFiles
client = ManualFiles(Path(sys.argv[1]), poll_seconds=0.01)
async def main():
    answers = await asyncio.gather(*(client.complete(asking(f"question {n}")) for n in range(5)))
    print(*(answer.text for answer in answers))
asyncio.run(main())
"""


def start_askers(folder: Path) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-c", ASKER, str(folder)]
    return [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]


async def test_several_processes_ask_the_same_at_once(tmp_path: Path) -> None:
    askers = start_askers(tmp_path)
    try:
        for number, prompt in enumerate(await prompts(tmp_path, 5), start=1):
            answer_file(prompt).write_text(f"answer-{number}")
        outputs = [await asyncio.to_thread(asker.communicate, timeout=30) for asker in askers]
    finally:
        for asker in askers:
            asker.kill()
            asker.wait()
    assert len({output for output, _ in outputs}) == 1
    assert len(outputs[0][0].split()) == 5
    assert len(list_files(tmp_path, "*.prompt.md")) == 5


async def test_answer_that_is_no_text(tmp_path: Path) -> None:
    task = asyncio.create_task(ManualFiles(tmp_path, poll_seconds=0.01).complete(REQUEST))
    (prompt,) = await prompts(tmp_path, 1)
    answer_file(prompt).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelRefused, match="save it as UTF-8"):
        await task


async def test_terminal() -> None:
    reads, writes = io.StringIO("line 1\n.not the end\n.\nsecond\n"), io.StringIO()
    client = ManualTerminal(reads, writes)
    assert (await client.complete(REQUEST)).text == "line 1\n.not the end\n"
    assert "What is 6 x 7?" in writes.getvalue()
    assert (await client.complete(asking("a\x1b[5m\u202eb"))).text == "second\n"
    assert "a\\x1b[5m\\u202eb" in writes.getvalue()
    assert (await client.complete(REQUEST)).text == ""


async def test_terminal_asks_one_thing_at_a_time() -> None:
    read_end, write_end = os.pipe()
    writes = io.StringIO()
    with os.fdopen(read_end) as reads, os.fdopen(write_end, "w") as typing:
        client = ManualTerminal(reads, writes)

        def ask(text: str) -> asyncio.Task[str]:
            async def answer(request: ModelRequest) -> str:
                return (await client.complete(request)).text

            return asyncio.create_task(answer(asking(text)))

        tasks = [ask("first question"), ask("second question")]
        typing.write("one\n.\ntwo\n.\n")
        typing.flush()
        assert await asyncio.gather(*tasks) == ["one\n", "two\n"]
    shown = writes.getvalue()
    assert shown.index("first question") < shown.index("Your answer") < shown.index("second question")
