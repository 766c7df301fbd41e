"""Dashboards as Grafana imports them."""

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)

from deploy.observe.dashboards.panel import Board, Look, Panel

# Panels of lines stand two in a row, numbers eight; Grafana's grid is 24 wide.
_LINES_SPAN, _NUMBER_SPAN = 12, 3
_LINES_HEIGHT, _NUMBER_HEIGHT = 8, 4
# Whoever imports it says which Prometheus it is.
_SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")


def board_json(board: Board) -> str:
    """The dashboard's file."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(f"fleetline-{board.name}")
        .description(board.says)
        .tags(["fleetline"])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(
            dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus")
        )
    )
    for title, panels in board.rows:
        builder.with_row(dashboard.Row(title))
        for panel in panels:
            builder.with_panel(_panel(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


def _panel(panel: Panel) -> timeseries.Panel | stat.Panel:
    built: timeseries.Panel | stat.Panel
    if panel.look is Look.NUMBER:
        limits = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE)
        steps = [Threshold(value=None, color="green"), Threshold(value=panel.limit, color="red")]
        built = (
            stat.Panel()
            .graph_mode(BigValueGraphMode.NONE)
            .thresholds(limits.steps(steps))
            .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
            .span(_NUMBER_SPAN)
            .height(_NUMBER_HEIGHT)
        )
    else:
        built = timeseries.Panel().min(0).span(_LINES_SPAN).height(_LINES_HEIGHT)
    built.title(panel.title).description(panel.says).unit(panel.unit).datasource(_SOURCE)
    for place, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + place))
        built.with_target(target.legend_format(query.legend or "__auto"))
    return built
