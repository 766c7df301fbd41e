"""`fleetline hosts` and `drain`: what stands on the command line."""

import json
import re
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common.errors import FleetlineError
from deploy.stack.home_option import HomeOption, settings_of

if TYPE_CHECKING:
    from deploy.tools.hosts.state import HostsState, HostState

LOOK_EVERY_S = 0.2


def hosts(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    home: HomeOption = None,
) -> None:
    """Show which host runs which shards."""
    found = _read(home)
    if as_json:
        shown: dict[str, object] = {
            "hosts": [host.shown() for host in found.hosts],
            "unheld": list(found.unheld),
        }
        if found.change:
            shown |= {"change": found.change, "also_unheld": list(found.also_unheld)}
        print(json.dumps(shown))
    else:
        _print_table(found)
    raise typer.Exit(0 if found.hosts else 1)


def drain(
    host: Annotated[
        str | None, typer.Argument(help="A host, or the name of a machine [this machine].")
    ] = None,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="It takes its part again.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Wait so long, in seconds.")] = 60.0,
    home: HomeOption = None,
) -> None:
    """Let a host hand its shards to the others, before it is stopped; wait until it has none."""
    from deploy.tools.hosts.state import read_hosts, set_drained
    from deploy.tools.stack_redis import stack_redis

    settings = settings_of(home)
    with stack_redis(settings, decode=False) as client:
        found = read_hosts(client, settings)
        names = _chosen(found, host or socket.gethostname())
        if not undo and not _others(found, names):
            raise FleetlineError("no other host runs consumers: nobody could take the shards")
        set_drained(client, names, drained=not undo)
        if undo:
            print(f"{', '.join(names)}: takes its part again")
            return
        _wait_until_empty(client, settings, names, timeout)


def _wait_until_empty(client: Any, settings: Any, names: list[str], timeout_s: float) -> None:
    from deploy.tools.hosts.state import ranges, read_hosts

    until_s, said = time.monotonic() + timeout_s, ""
    while True:
        found = read_hosts(client, settings)
        its = [host for host in found.hosts if host.name in names]
        left = [shard for host in its for shard in host.held]
        also = [shard for host in its for shard in host.also]
        held = ", and of others ".join(filter(None, (ranges(left), ranges(also))))
        line = f"{', '.join(names)}: " + (f"still holds {held}" if held else "holds nothing")
        if line != said:
            print(said := line, flush=True)
        if not held:
            print("it can be stopped; `--undo` lets it take its part again")
            return
        if time.monotonic() > until_s:
            raise FleetlineError(f"not handed over within {timeout_s:g} s; it goes on by itself")
        time.sleep(LOOK_EVERY_S)


def _read(home: Path | None) -> "HostsState":
    from deploy.tools.hosts.state import read_hosts
    from deploy.tools.stack_redis import stack_redis

    settings = settings_of(home)
    with stack_redis(settings, decode=False) as client:
        return read_hosts(client, settings)


def _chosen(found: "HostsState", wanted: str) -> list[str]:
    """The hosts that are meant by a name, or by that of their machine."""
    names = [host.name for host in found.hosts if host.heard_s is not None]
    of_machine = re.compile(rf"{re.escape(wanted)}-[0-9a-f]{{6}}")
    chosen = [name for name in names if name == wanted or of_machine.fullmatch(name)]
    if not chosen:
        there = f"there are {', '.join(names)}" if names else "none runs"
        raise FleetlineError(f"no host of that name runs consumers; {there}")
    return chosen


def _others(found: "HostsState", names: list[str]) -> "list[HostState]":
    return [
        host
        for host in found.hosts
        if host.heard_s is not None and host.name not in names and not host.terms.drained
    ]


def _print_table(found: "HostsState") -> None:
    from rich.console import Console
    from rich.table import Table

    from common.log import printable
    from deploy.tools.hosts.state import ranges

    table = Table(box=None, header_style="bold")
    also = (found.change,) if found.change else ()
    for column in ("host", "state", "shards", "which", *also, "only", "heard"):
        right = column in {"shards", "heard"}
        table.add_column(column, justify="right" if right else "left")
    for host in found.hosts:
        only = ranges(host.terms.only) if host.terms.only is not None else ""
        heard = f"{host.heard_s:.1f} s ago" if host.heard_s is not None else ""
        row = (
            printable(host.name),
            host.state,
            str(len(host.held)),
            ranges(host.held),
            *(ranges(host.also) for _ in also),
            only,
            heard,
        )
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if found.hosts:
        console.print(table)
    if found.more:
        console.print(f"{found.more} more say that they live: somebody forges hosts")
    if found.unheld:
        console.print(f"nobody holds {ranges(found.unheld)}")
    if found.also_unheld:
        console.print(f"{found.change}, of which nobody holds {ranges(found.also_unheld)}")
