"""`fleetline up`: the whole pipeline on this machine, in the foreground, under one supervisor.

Order of start: servers, front door, schema, consumers, fan-out, ingest; the stop is the reverse,
so fixes stop coming in before anything that carries them goes. Whatever goes wrong on the way up
is one clear line, and nothing is left running.
"""

import compileall
import os
import resource
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO, cast

import structlog

import deploy
from common.errors import EXIT_CONFIG, ConfigError, FleetlineError
from common.processes.logs import OwnLog
from common.processes.supervision.changing import ChangingSupervisor
from common.processes.supervision.spec import ChildSpec
from common.processes.supervision.starting import StartFailed, Stopped
from common.processes.supervision.state import state_file
from common.settings import Settings
from deploy.local_forks import PRELOADED, RoleForks
from deploy.local_ports import await_ports
from deploy.local_roles import Roles, stack_works
from deploy.servers import packages
from deploy.servers.cluster_forming import FORMED_WITHIN_S, ClusterNode, advance_forming
from deploy.servers.gateway import forget_open_folder, gateway_spec
from deploy.servers.postgres import postgres_spec
from deploy.servers.postgres_making import POSTGRES_PASSWORD
from deploy.servers.privileges import Descent
from deploy.servers.redis import REDIS_PASSWORD, node_specs, redis_spec
from deploy.stack.home import Home
from deploy.stack.limits import raise_file_limit
from deploy.stack.wiring import (
    CLUSTER_PRIMARIES,
    cluster_ports,
    cluster_url,
    database_url,
    engine_urls,
    fitting_sockets,
    local_gateway_host,
    local_host,
    reached_at,
    redis_url,
    role_metrics_port,
)
from deploy.tools.access.tokens import first_tokens_text

# Start order. Ingest last: what it accepts must find everybody there.
ROLES = (
    *("roads", "insight", "places", "hooks", "arrivals", "planner"),
    *("consumers", "fanout", "ingest"),
)
SERVERS_TIMEOUT_S = 60.0
MIGRATE_TIMEOUT_S = 600.0
ROLES_TIMEOUT_S = 60.0
# Beyond the roles' shared deadline, for the servers: their data is on disk either way.
SERVERS_STOP_S = 1.5


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the command line says beside the settings."""

    gateway: bool = True
    # Drivers of the simulation that runs along; 0: none.
    demo: int = 0
    # Whether the embedded Redis is a cluster.
    cluster: bool = False
    roles: tuple[str, ...] = ROLES


def say(line: str) -> None:
    """One line of progress."""
    print(line, flush=True)


def up(settings: Settings, options: UpOptions) -> int:
    """Run the stack until a stop signal. Returns the exit status."""
    home = Home(settings.fleetline_home)
    _require_packages(settings, options)
    if os.geteuid() == 0:
        _compile()
    # Files that `up` and its children make are closed to other users, unless a mode is given.
    os.umask(0o077)
    home.lock()
    try:
        _require_same_redis(home, settings, cluster=options.cluster)
        await_ports(home, settings, options.roles, gateway=options.gateway, cluster=options.cluster)
        home.close_to_others()
        raise_file_limit()
        # The terminal is for a person's lines; the supervisor's stand with the other logs.
        own = OwnLog(home.log("up"))
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(cast("TextIO", own)))
        return _run(home, settings, options)
    finally:
        home.unlock()


def _run(home: Home, settings: Settings, options: UpOptions) -> int:
    forks = RoleForks()
    supervisor = ChangingSupervisor(
        "up",
        drain_timeout_s=settings.drain_timeout_s + SERVERS_STOP_S,
        state_file=state_file(home.path, "up"),
        observer=forks,
    )
    try:
        with supervisor:
            say(f"fleetline up in {home.path}")
            with home.writing():
                roles = Roles.prepare(home, settings, forks)
            forks.begin(supervisor, roles.preloaded())
            _start(supervisor, roles, options)
            forks.end()
            status = supervisor.run()
            say("stopping")
        say("stopped")
    except Stopped:
        return supervisor.status
    except StartFailed as e:
        if e.child == "migrate":
            # `fleetline migrate` has printed why.
            return supervisor.status or 1
        nodes = {f"redis-{number}" for number in range(1, 7)}
        names = {*ROLES, "redis", "postgres", "gateway", PRELOADED, *nodes}
        words = home.last_words(e.child) if e.child in names else ""
        detail = f": {words}" if words else ""
        # Several that were late have no log in common.
        log = home.log(e.child) if e.child in names else home.folder("log")
        print(f"fleetline: {e}{detail} (log: {log})", file=sys.stderr)
        return supervisor.status or 1
    except FleetlineError as e:
        # What was started is stopped by now.
        print(f"fleetline: {e}", file=sys.stderr)
        return EXIT_CONFIG if isinstance(e, ConfigError) else 1
    finally:
        home.forget_run()
        forget_open_folder(home)
    return status


def _start(supervisor: ChangingSupervisor, roles: Roles, options: UpOptions) -> None:
    home, settings = roles.home, roles.settings
    url = _url(settings, gateway=options.gateway)
    with home.writing():
        servers = _servers(home, settings, options)
        stores = _stores(home, settings, options)
        roles = replace(roles, stores=stores)
    metrics = f"{reached_at(settings.metrics_host)}:{role_metrics_port(settings, 'ingest')}"
    noted = {"url": url, "metrics": metrics}
    home.note({name.lower(): store for name, store in stores.items()} | noted)
    _say_what_is_kept((*servers, roles.migrate()))
    supervisor.spawn(*servers)
    supervisor.await_ready(SERVERS_TIMEOUT_S)
    for spec in servers:
        say(f"{spec.name}: ready")
    if options.cluster:
        _form(supervisor, home, settings)
    supervisor.spawn(roles.migrate())
    supervisor.await_ready(MIGRATE_TIMEOUT_S)
    supervisor.spawn(*(roles.role(name, **_fitted(name, settings)) for name in options.roles))
    supervisor.await_ready(
        ROLES_TIMEOUT_S, lambda: stack_works(settings, options.roles, gateway=options.gateway)
    )
    for name in options.roles:
        say(f"{name}: ready")
    if options.demo:
        supervisor.spawn(roles.demo(options.demo))
        say(f"demo: {options.demo} drivers")
    # From here on a death is news; before, it is the reason of a failed start.
    supervisor.announce = say
    if settings.auth == "on":
        for line in first_tokens_text(settings, settings.public_url.rstrip("/") or url):
            say(line)
    say(f"ready {url}")


def _servers(home: Home, settings: Settings, options: UpOptions) -> list[ChildSpec]:
    servers = []
    if options.cluster:
        servers += node_specs(home, _nodes(settings), home.secret(REDIS_PASSWORD))
    elif not settings.given("redis_url"):
        servers.append(redis_spec(home, settings.redis_port, home.secret(REDIS_PASSWORD)))
    if not settings.given("database_url"):
        servers.append(postgres_spec(home, settings.postgres_port, say))
    if options.gateway:
        servers.append(gateway_spec(home, settings))
    return servers


def _nodes(settings: Settings) -> list[ClusterNode]:
    return [ClusterNode(port, bus) for port, bus in cluster_ports(settings)]


def _form(supervisor: ChangingSupervisor, home: Home, settings: Settings) -> None:
    nodes, password = _nodes(settings), home.secret(REDIS_PASSWORD)
    supervisor.await_ready(
        FORMED_WITHIN_S, lambda: advance_forming(nodes, CLUSTER_PRIMARIES, password)
    )
    say(f"cluster: ready, {CLUSTER_PRIMARIES} primaries, each with a replica")


def _require_same_redis(home: Home, settings: Settings, *, cluster: bool) -> None:
    """Raise `ConfigError` where the data of this home is the other kind's: it would seem lost."""
    if settings.given("redis_url"):
        return
    data = home.path / "data"
    if cluster and (data / "redis").exists():
        raise ConfigError("--cluster: this home has the data of one Redis; take another home")
    if not cluster and (data / "redis-1").exists():
        raise ConfigError("FLEETLINE_HOME: this home has the data of a cluster; say --cluster")


def _stores(home: Home, settings: Settings, options: UpOptions) -> dict[str, str]:
    """Where the stores and the road engines are, with the passwords of those that are ours."""
    redis, postgres = settings.given("redis_url"), settings.given("database_url")
    password = "" if redis else home.secret(REDIS_PASSWORD)
    engines = {"ROADS_URL": engine_urls(settings)} if "roads" in options.roles else {}
    return engines | {
        "REDIS_URL": cluster_url(settings, password)
        if options.cluster
        else redis_url(settings, password),
        "DATABASE_URL": database_url(settings, "" if postgres else home.secret(POSTGRES_PASSWORD)),
        **({"DATABASE_URLS": settings.database_urls} if settings.database_urls else {}),
    }


def _say_what_is_kept(specs: Iterable[ChildSpec]) -> None:
    """Under root: who has kept the right to read everything, and for want of what."""
    kept = [(spec.name, spec.become.closed) for spec in specs if isinstance(spec.become, Descent)]
    closed = {str(path) for _, path in kept if path is not None}
    if closed:
        names = ", ".join(
            "the roles" if name == "migrate" else name for name, path in kept if path is not None
        )
        say(
            f"root: {names} run as others but keep CAP_DAC_READ_SEARCH, which reads every file "
            f"here: {', '.join(sorted(closed))} is closed to them"
        )


def _fitted(role: str, settings: Settings) -> dict[str, str]:
    """What this machine makes of the settings of `role`."""
    files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    sockets = fitting_sockets(settings, files_max) if role == "fanout" else None
    if sockets is None:
        return {}
    say(f"fanout: at most {sockets} sockets, as this machine allows (ulimit -n)")
    return {"FANOUT_CONNECTIONS_MAX": str(sockets)}


def _url(settings: Settings, *, gateway: bool) -> str:
    if not gateway:
        return f"http://{local_host(settings)}:{settings.ingest_port}"
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{local_gateway_host(settings)}:{settings.gateway_port}"


def _require_packages(settings: Settings, options: UpOptions) -> None:
    if not settings.given("redis_url"):
        packages.require("redis")
    if not settings.given("database_url"):
        packages.require("postgres")
    if options.gateway:
        packages.require("gateway")


def _compile() -> None:
    """Byte code of the project: the roles, which are not root, cannot keep theirs beside it."""
    for package in ("common", "ingest", "consumers", "fanout", "deploy"):
        folder = Path(deploy.__file__).parents[1] / package
        compileall.compile_dir(folder, quiet=2)
