"""`logs`: the logs of all processes as one."""

from __future__ import annotations

import json
from pathlib import Path

from multi_agent.runtime.observing.log_files import LogFiles
from multi_agent.runtime.observing.log_rotation import rotate_logs
from tests.cli.terminals import run_on_terminal
from tests.e2e.conftest import Cli


def line(event: str, second: int, **fields: object) -> str:
    at = f"2026-01-01T00:00:{second:02}.5Z"
    return json.dumps({"event": event, "level": "info", "timestamp": at, **fields}) + "\n"


def folder_of(tmp_path: Path) -> Path:
    logs = tmp_path / ".multi_agent" / "logs"
    logs.mkdir(parents=True)
    (logs / "orchestrator.log").write_text(line("first", 1) + line("third", 3) + "a foreign line\n")
    (logs / "worker-1.log").write_text(line("second", 2, workflow_id="w-1") + '{"event": "half')
    return logs


def test_lines_come_in_the_order_of_time_and_each_once(tmp_path: Path) -> None:
    logs = folder_of(tmp_path)
    files = LogFiles(logs)
    told = [(one.source, one.fields["event"]) for one in files.new_lines()]
    assert told == [
        ("orchestrator", "first"),
        ("worker-1", "second"),
        ("orchestrator", "third"),
        ("orchestrator", "a foreign line"),
    ]
    assert files.new_lines() == []
    with (logs / "worker-1.log").open("a") as file:
        file.write('"}\n')
    assert [one.fields["event"] for one in files.new_lines()] == ["half"]
    (logs / "worker-1.log").write_text(line("anew", 4))
    assert [one.fields["event"] for one in files.new_lines()] == ["anew"]


def test_a_large_log_is_set_aside_once_and_no_line_is_missed(tmp_path: Path) -> None:
    logs = folder_of(tmp_path)
    seen, late = LogFiles(logs), LogFiles(logs)
    with (logs / "worker-1.log").open("a") as writer:
        writer.write('"}\n')
        writer.flush()
        seen.new_lines()
        for round_ in range(3):
            writer.write(line("x" * 2_000, 5 + round_) + line(f"last-{round_}", 5 + round_))
            writer.flush()
            rotate_logs(logs, most_bytes=1_000)
            writer.write(line(f"after-{round_}", 5 + round_))
            writer.flush()
            told = [one.fields["event"][:7] for one in seen.new_lines() if one.source == "worker-1"]
            assert told == ["x" * 7, f"last-{round_}", f"after-{round_}"]
    names = {path.name for path in logs.iterdir()}
    assert names == {"orchestrator.log", "worker-1.log", "worker-1.log.1"}
    assert [one.fields["event"] for one in late.new_lines()][-2:] == ["last-2", "after-2"]


def test_elsewhere_they_are_json_and_on_a_terminal_sentences(tmp_path: Path) -> None:
    folder_of(tmp_path)
    printed = [json.loads(one) for one in Cli(tmp_path)("logs").stdout.splitlines()]
    assert [one["event"] for one in printed] == ["first", "second", "third", "a foreign line"]
    assert printed[1]["source"] == "worker-1"
    shown = run_on_terminal(tmp_path, "logs")
    assert "2026-01-01 00:00:02Z worker-1      second (workflow_id w-1)" in shown.text
    assert "{" not in shown.text


def test_a_line_that_only_looks_like_json_is_text(tmp_path: Path) -> None:
    deep = "[" * 100_000
    (tmp_path / "worker-1.log").write_text(f"{deep}\n")
    [found] = LogFiles(tmp_path).new_lines()
    assert found.fields["event"] == deep


def test_without_logs_it_says_so(tmp_path: Path) -> None:
    assert "there are no logs in " in Cli(tmp_path)("logs", code=2).stderr
