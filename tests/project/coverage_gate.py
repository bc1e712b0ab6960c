"""A pytest plugin: the run fails when a package is covered less than it must be. Used by `make test`.

It reads what pytest-cov has combined of all test processes and of the programs they started.
"""

from __future__ import annotations

import io

import coverage
import pytest

GATED = ("contracts", "planner_service", "orchestrator", "agents", "artifacts")
SHOWN = (*GATED, "sandbox_runner", "multi_agent")
LEAST_PERCENT = 90.0
_LINES = pytest.StashKey[list[str]]()


def verdicts(measured: dict[str, float]) -> tuple[list[str], bool]:
    """One line for each package, and whether all that are gated reach LEAST_PERCENT."""
    lines, passed = [], True
    for package, percent in measured.items():
        short = package in GATED and percent < LEAST_PERCENT
        passed = passed and not short
        lines.append(f"{package:<16} {percent:5.1f} %{f'  below {LEAST_PERCENT:.0f} %' if short else ''}")
    return lines, passed


def measure() -> dict[str, float]:
    """Percent of statements that ran, by package."""
    recorded = coverage.Coverage()
    recorded.load()
    omitted = recorded.get_option("run:omit")
    unmeasured = [f"*/{pattern}" for pattern in omitted] if isinstance(omitted, list) else []
    found = {}
    for package in SHOWN:
        try:
            found[package] = recorded.report(
                file=io.StringIO(), include=[f"*/{package}/*"], omit=["*/tests/*", *unmeasured]
            )
        except coverage.exceptions.NoDataError:
            found[package] = 0.0
    return found


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """After pytest-cov combined the data: judge it, unless tests failed anyway."""
    if hasattr(session.config, "workerinput") or session.exitstatus != pytest.ExitCode.OK:
        return
    lines, passed = verdicts(measure())
    session.config.stash[_LINES] = lines
    if not passed:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the table above the closing line."""
    lines = terminalreporter.config.stash.get(_LINES, [])
    if lines:
        terminalreporter.section("coverage")
        for line in lines:
            terminalreporter.line(line)
