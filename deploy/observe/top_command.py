"""`fleetline top`: the roles' numbers, live in the terminal, for who has no Grafana.

It reads the pages that Prometheus would read, so it sees what Prometheus would see.
"""

import http.client
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from rich.console import Console
from rich.live import Live

from common.metrics.catalogue import ROLES, metrics_port
from common.metrics.request import PATH
from common.settings import Settings
from deploy.observe.overview import Overview, overview_of
from deploy.observe.reading import Change, PagesReading
from deploy.observe.top_view import screen
from deploy.stack.home import Home
from deploy.stack.wiring import reached_at, role_metrics_port

TIMEOUT_S = 2.0
# Most of a page that is read: a hundred times what a large fleet has.
PAGE_BYTES_MAX = 32 * 1_048_576


def run(settings: Settings, *, every_s: float, as_json: bool) -> int:
    """Show it until Ctrl-C, or print it once. Returns 1 when nothing answers."""
    host, ports = addresses(settings)
    before = read_all(host, ports)
    if as_json:
        time.sleep(every_s)
        overview = overview_of(Change(before, read_all(host, ports)))
        print(_json(overview))
        return 0 if overview.roles else 1
    console = Console()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            time.sleep(every_s)
            after = read_all(host, ports)
            live.update(screen(overview_of(Change(before, after))), refresh=True)
            before = after


def _json(overview: Overview) -> str:
    """JSON has no infinity: room that lasts is null."""
    shown = asdict(overview)
    for shard in shown["shards"]:
        for name in ("room_s", "outage_s"):
            shard[name] = finite(shard[name])
    return json.dumps(shown, allow_nan=False)


def finite(seconds: float | None) -> float | None:
    """None where it lasts for ever, too."""
    return None if seconds is None or math.isinf(seconds) else seconds


def read_all(host: str, ports: dict[str, int]) -> PagesReading:
    """The pages of all roles that answer."""
    reading = PagesReading(time.monotonic())
    with ThreadPoolExecutor(len(ports)) as pool:
        pages = pool.map(lambda port: _read_page(host, port), ports.values())
    for role, page in zip(ports, pages, strict=True):
        if page is not None:
            reading.add_page(role, page)
    return reading


def _read_page(host: str, port: int) -> str | None:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", PATH)
        response = connection.getresponse()
        return response.read(PAGE_BYTES_MAX).decode() if response.status == 200 else None
    except (OSError, http.client.HTTPException, UnicodeError):
        return None
    finally:
        connection.close()


def addresses(settings: Settings) -> tuple[str, dict[str, int]]:
    """Where the roles of the stack in this home serve, or would."""
    host, _, first = Home(settings.fleetline_home).noted().get("metrics", "").rpartition(":")
    if first.isdigit():
        return host, {role: metrics_port(role, int(first)) for role in ROLES}
    return reached_at(settings.metrics_host), {r: role_metrics_port(settings, r) for r in ROLES}
