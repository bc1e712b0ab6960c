"""A person who answers the prompts of `--model manual:FOLDER`, from a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.05


@contextmanager
def answering(folder: Path, script: Mapping[str, Sequence[Any]]) -> Iterator[None]:
    """Answer each prompt by its purpose, such as `coder.CodeArtifacts`, in the order of the script.

    A prompt beyond the script stays without an answer.
    """
    left = {purpose: list(answers) for purpose, answers in script.items()}
    done = threading.Event()
    seen: set[Path] = set()

    def work() -> None:
        while not done.wait(POLL_SECONDS):
            for prompt in sorted(set(folder.glob("*.prompt.md")) - seen):
                purpose = prompt.name.split("-")[1]
                if left.get(purpose):
                    seen.add(prompt)
                    write_answer(prompt, left[purpose].pop(0))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def write_answer(prompt: Path, answer: Any) -> None:
    """Answer a prompt, at once and as a whole."""
    final = prompt.with_name(prompt.name.replace(".prompt.md", ".answer.json"))
    unfinished = final.with_name(f"{final.name}.tmp")
    unfinished.write_text(json.dumps(answer))
    unfinished.replace(final)


def files(summary: str, **contents: str) -> dict[str, Any]:
    """A CodeArtifacts answer; `__` in a name stands for `/`, and `.py` is added."""
    changes = [{"path": name.replace("__", "/") + ".py", "content": text} for name, text in contents.items()]
    return {"summary": summary, "files": changes}


def steps(summary: str, **contents: str) -> list[dict[str, Any]]:
    """The same in a repository: a step that writes new files, and one that ends."""
    paths = {name.replace("__", "/") + ".py": text for name, text in contents.items()}
    writes = [{"tool": "write", "arguments": {"path": path, "content": text}} for path, text in paths.items()]
    finish = {"tool": "finish", "arguments": {"summary": summary}}
    return [{"thought": "write", "calls": writes}, {"thought": "done", "calls": [finish]}]


def review(*, approved: bool, summary: str, **finding: str) -> dict[str, Any]:
    """A ReviewReport answer with at most one finding."""
    return {"approved": approved, "summary": summary, "findings": [finding] if finding else []}


def reviewed(*, approved: bool, summary: str) -> list[dict[str, Any]]:
    """The same in a repository."""
    call = {"tool": "review", "arguments": review(approved=approved, summary=summary)}
    return [{"thought": "seen", "calls": [call]}]
