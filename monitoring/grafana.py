"""Grafana's JSON of the dashboards."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos, Threshold, ThresholdsMode

from monitoring.panels import Board, Number, Panel

SOURCE = DataSourceRef(type_val="prometheus", uid="multi-agent-prometheus")
"""Named in provisioning/datasources."""
_NUMBER = (4, 4)
_LINES = (12, 8)
"""Width and height of a panel, on a grid 24 wide."""


def to_json(board: Board) -> str:
    """The file that Grafana reads."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(f"multi-agent-{board.uid}")
        .description(board.about)
        .tags(["multi-agent"])
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("utc")
    )
    for place, panel in zip(_places(board.panels), board.panels, strict=True):
        builder = builder.with_panel(_panel(panel, place))
    return JSONEncoder(sort_keys=True, indent=1).encode(builder.build()) + "\n"


def _places(panels: tuple[Panel, ...]) -> list[GridPos]:
    """Left to right, top to bottom; numbers stand before lines."""
    found, x, y, below = list[GridPos](), 0, 0, 0
    for panel in panels:
        width, height = _NUMBER if isinstance(panel, Number) else _LINES
        if x + width > 24 or (found and found[-1].h != height):
            x, y = 0, below
        found.append(GridPos(h=height, w=width, x=x, y=y))
        x, below = x + width, y + height
    return found


def _panel(panel: Panel, place: GridPos) -> stat.Panel | timeseries.Panel:
    kind = (
        stat.Panel().graph_mode(BigValueGraphMode.AREA) if isinstance(panel, Number) else timeseries.Panel()
    )
    made = (
        kind.title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .unit(panel.unit)
        .grid_pos(place)
        .thresholds(_thresholds(panel))
    )
    for number, query in enumerate(panel.queries):
        made = made.with_target(
            prometheus.Dataquery()
            .datasource(SOURCE)
            .expr(query.expr)
            .legend_format(query.legend)
            .ref_id("ABCDEFGH"[number])
        )
    return made


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    if panel.red_from is None:
        steps = [Threshold(value=None, color="green")]
    elif panel.red_below:
        steps = [Threshold(value=None, color="red"), Threshold(value=panel.red_from, color="green")]
    else:
        steps = [Threshold(value=None, color="green"), Threshold(value=panel.red_from, color="red")]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
