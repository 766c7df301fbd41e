"""POST one: ingest alone, direct and through nginx, beside its ceiling and the plain design."""

from collections.abc import Iterable

from bench.context import Bench, Load, rate_figure
from bench.empty import READS_ENV
from bench.load.generator import Plan
from bench.processes import wait_until
from bench.report.result import Figure
from deploy.servers.checks import http_answers

NAME = "ingest_one"
TITLE = "POST one: an empty handler, ingest, ingest behind nginx, the plain design"
BOUND_S = 180.0
CONNECTIONS = 64


def run(bench: Bench) -> Iterable[Figure]:
    """Closed loops; consumers are not running, so the cores are ingest's, Redis' and the load's."""
    stack = bench.stack
    ingest_port, door = stack.settings.ingest_port, stack.settings.gateway_port

    for key, label, env in (
        ("ingest_one.empty", "empty Falcon handler", {}),
        ("ingest_one.reading", "empty Falcon handler that reads the body", {READS_ENV: "1"}),
    ):
        stack.reset()
        stack.start_other("empty", "-m", "bench.empty", INGEST_PORT=str(ingest_port), **env)
        _await_http(ingest_port)
        yield rate_figure(key, label, _load(bench, ingest_port))

    stack.reset()
    stack.start("ingest", backlog_max=100_000_000)
    bench.warm(ingest_port)
    direct = _load(bench, ingest_port)
    yield rate_figure("ingest_one.direct", "POST one, direct", direct)
    through = _load(bench, door)
    yield rate_figure("ingest_one.nginx", "POST one, through nginx", through)

    stack.reset()
    plain = {"REDIS_URL": stack.redis_url, "DATABASE_URL": stack.database_url}
    arguments = ("-m", "bench.plain.serve", str(ingest_port))
    stack.start_other("plain", *arguments, **plain)
    _await_http(ingest_port)
    yield rate_figure("ingest_one.plain", "plain design", _load(bench, ingest_port))
    stack.stop_roles()


def _load(bench: Bench, port: int) -> Load:
    seconds = bench.pick(8.0, 2.5)
    return bench.load(Plan(port, CONNECTIONS, seconds, seed=bench.seed))


def _await_http(port: int) -> None:
    path = "/api/v1/drivers/none/location"
    wait_until(lambda: http_answers("127.0.0.1", port, path), 20, "the server did not answer")
