"""How `fleetline top` looks: tables of what `overview` gives."""

import math
from collections.abc import Callable, Iterable

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.observe.overview import Overview, Shown


def screen(overview: Overview) -> RenderableType:
    """The whole of it."""
    return Group(
        _verdict(overview),
        _numbers("fixes a second", overview.flow, lambda value: f"{value:,.0f}"),
        _numbers("milliseconds", overview.times_ms, lambda value: f"{value:,.1f}"),
        _numbers("stores", overview.stores, lambda value: f"{value:g}"[:6]),
        _numbers("sockets", overview.sockets, lambda value: f"{value:,.0f}"),
        _shards(overview),
        _processes(overview),
    )


def _verdict(overview: Overview) -> Panel:
    if not overview.roles:
        return Panel(Text("nothing answers", style="bold red"), title="fleetline")
    if not overview.troubles:
        text = Text(f"all is well: {', '.join(overview.roles)}", style="green")
    else:
        text = Text("\n".join(overview.troubles), style="bold red")
    return Panel(text, title="fleetline")


def _numbers(title: str, numbers: Shown, shown: Callable[[float], str]) -> Table:
    table = _table(title, numbers)
    table.add_row(*("" if value is None else shown(value) for value in numbers.values()))
    return table


def _shards(overview: Overview) -> Table:
    columns = (
        "shard", "owner", "lag", "lag s", "room", "outage",
        "on the map/s", "stored/s", "drivers",
    )  # fmt: skip
    table = _table("shards", columns)
    for shard in overview.shards:
        table.add_row(
            str(shard["shard"]),
            # A host's name is its owner's to choose.
            Text(shard["owner"] or "nobody"),
            _count(shard["lag_fixes"]),
            "" if shard["lag_s"] is None else f"{shard['lag_s']:.1f}",
            how_long(shard["room_s"]),
            how_long(shard["outage_s"]),
            *(_count(shard[name]) for name in ("on_the_map", "stored", "drivers")),
        )
    return table


def _processes(overview: Overview) -> Table:
    table = _table("processes", ("process", "state", "CPU", "MB", "restarts"))
    for process in overview.processes:
        table.add_row(
            process["process"],
            Text("runs") if process["up"] else Text("down", style="bold red"),
            f"{process['cpu']:.0%}",
            f"{process['bytes'] / 1_048_576:.0f}",
            _count(process["restarts"]),
        )
    return table


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for column in columns:
        left = column in {"process", "owner", "state"}
        table.add_column(column.replace("_", " "), justify="left" if left else "right")
    return table


def how_long(seconds: float | None) -> str:
    """How long room lasts, as people read it; empty where it is not known.

    Never more than a column of 80 has room for, so it is rounded down to one unit.
    """
    if seconds is None:
        return ""
    if math.isinf(seconds):
        return "lasts"
    if seconds < 6000:
        return f"{int(seconds / 60)} min"
    hours = int(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{hours // 24} d"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
