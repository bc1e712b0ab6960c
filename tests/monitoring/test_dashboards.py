"""Dashboards are what the code says, and say what to do."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from monitoring.__main__ import FOLDER
from monitoring.boards import BOARDS
from monitoring.grafana import SOURCE
from monitoring.panels import Board, Panel
from tests.project.documented import ROOT, commands_of, complaint

PANELS = [pytest.param(panel, id=f"{board.uid}: {panel.title}") for board in BOARDS for panel in board.panels]


def test_the_files_are_what_the_code_gives() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "monitoring", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_grafana_gets_every_query_from_the_source_that_is_provisioned(board: Board) -> None:
    made = json.loads((FOLDER / f"{board.uid}.json").read_text("utf-8"))
    assert [panel["title"] for panel in made["panels"]] == [panel.title for panel in board.panels]
    for panel, meant in zip(made["panels"], board.panels, strict=True):
        assert [target["expr"] for target in panel["targets"]] == [query.expr for query in meant.queries]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {SOURCE.uid}
    sources = (ROOT / "monitoring/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8")
    assert f"uid: {SOURCE.uid}" in sources


def test_panels_do_not_lie_over_each_other() -> None:
    for board in BOARDS:
        made = json.loads((FOLDER / f"{board.uid}.json").read_text("utf-8"))
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in made["panels"])
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells)), board.uid
        assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_to_do(panel: Panel) -> None:
    assert panel.about.endswith(".")
    assert panel.when_red.endswith(".")
    for words in commands_of(re.sub(r"(WORKFLOW)", "sma", panel.description)):
        assert complaint(words) is None, words
