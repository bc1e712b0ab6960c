"""Alerts fire where they must, and say what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from monitoring.boards import BOARDS
from monitoring.metrics_page import KINDS, metrics_of
from tests.project.documented import ROOT
from tests.support.prometheus_server import promtool

FOLDER = ROOT / "monitoring" / "prometheus"
GROUPS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule
}
RECORDED = {rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule}
TESTS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts_test.yml").read_text("utf-8"))["tests"]
RUNBOOKS = (ROOT / "docs" / "operations.md").read_text("utf-8")


def test_the_rules_are_sound_and_do_what_their_tests_say() -> None:
    for words in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")):
        ended = promtool(*words, folder=FOLDER)
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_is_tried_both_silent_and_firing(name: str) -> None:
    cases = [case for test in TESTS for case in test["alert_rule_test"] if case["alertname"] == name]
    assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_has_a_runbook(name: str) -> None:
    page, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    assert page == "docs/operations.md"
    sections = {
        title.lower(): text
        for title, text in re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", RUNBOOKS, re.M | re.S)
    }
    assert "**Do**" in sections[anchor]
    assert "**Panel**" in sections[anchor]


def test_no_runbook_is_of_an_alert_that_is_gone() -> None:
    anchors = {rule["annotations"]["runbook_url"].partition("#")[2] for rule in ALERTS.values()}
    assert {title.lower() for title in re.findall(r"^### (\w+)$", RUNBOOKS, re.MULTILINE)} == anchors


def test_queries_of_alerts_and_dashboards_name_metrics_and_labels_that_exist() -> None:
    known = {"up": {"job", "instance"}, **{name: set[str]() for name in RECORDED}}
    for metric in (one for _, kinds in KINDS for one in metrics_of(*kinds)):
        [described] = metric.describe()
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        for end in ends.get(described.type, ("",)):
            known[described.name + end] = {*metric._labelnames, "instance", "le"}
    rules = [str(rule["expr"]) for group in GROUPS for rule in group["rules"]]
    queries = [query.expr for board in BOARDS for panel in board.panels for query in panel.queries]
    for expr in (*rules, *queries):
        for name, chosen in re.findall(r"\b(up|multi_agent[a-z_:0-9]*)\b(\{[^}]*\})?", expr):
            assert name in known, expr
            assert set(re.findall(r"(\w+)(?==|!)", chosen)) <= known[name], expr


def test_metrics_are_named_as_prometheus_wants() -> None:
    registry = CollectorRegistry()
    for kind in (kind for _, kinds in KINDS for kind in kinds):
        kind(registry)
    ended = promtool("check", "metrics", folder=FOLDER, given=generate_latest(registry).decode())
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_the_configuration_is_sound() -> None:
    ended = promtool("check", "config", "--syntax-only", "prometheus.yml", folder=FOLDER)
    assert ended.returncode == 0, ended.stderr
