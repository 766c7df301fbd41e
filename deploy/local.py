"""`fleetline up`: the whole pipeline on this machine, in the foreground, under one supervisor.

Order of start: servers, front door, schema, consumers, fan-out, ingest; the stop is the reverse,
so fixes stop coming in before anything that carries them goes. Whatever goes wrong on the way up
is one clear line, and nothing is left running.
"""

import resource
import sys
from dataclasses import dataclass

import structlog

from common.access.policy import Role
from common.processes.spec import ChildSpec
from common.processes.state import read_state, state_file
from common.processes.supervisor import StartFailed, Stopped, Supervisor
from common.settings import Settings
from deploy.closed import new_token, what_to_paste
from deploy.home import Home
from deploy.local_ports import await_ports
from deploy.servers import packages
from deploy.servers.checks import fetch_json, http_answers
from deploy.servers.gateway import gateway_spec
from deploy.servers.postgres import postgres_spec
from deploy.servers.redis import redis_spec
from deploy.wiring import (
    STOP_SHARES,
    fitting_sockets,
    local_gateway_host,
    local_host,
    redis_url,
    role_environment,
)

# Start order. Ingest last: what it accepts must find everybody there.
ROLES = ("consumers", "fanout", "ingest")
SERVERS_TIMEOUT_S = 60.0
MIGRATE_TIMEOUT_S = 600.0
ROLES_TIMEOUT_S = 60.0
# The demo ends with its stack; this is only longer.
DEMO_TOKEN_S = 30 * 86_400
# Beyond the roles' shared deadline, for the servers: their data is on disk either way.
SERVERS_STOP_S = 1.5


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the settings."""

    gateway: bool = True
    # Drivers of the simulation that runs along; 0: none.
    demo: int = 0
    roles: tuple[str, ...] = ROLES


def say(line: str) -> None:
    """One line of progress."""
    print(line, flush=True)


def up(settings: Settings, options: Options) -> int:
    """Run the stack until a stop signal. Returns the exit status."""
    home = Home(settings.fleetline_home)
    _require_packages(settings, options)
    home.lock()
    try:
        await_ports(home, settings, options.roles, gateway=options.gateway)
        home.rotate_logs()
        _raise_file_limit()
        with home.log("up").open("a") as own:
            # The terminal is for a person's lines; the supervisor's stand with the other logs.
            structlog.configure(logger_factory=structlog.PrintLoggerFactory(own))
            return _run(home, settings, options)
    finally:
        home.unlock()


def _run(home: Home, settings: Settings, options: Options) -> int:
    supervisor = Supervisor(
        "up",
        drain_timeout_s=settings.drain_timeout_s + SERVERS_STOP_S,
        state_file=state_file(home.path, "up"),
    )
    try:
        with supervisor:
            _start(supervisor, home, settings, options)
            status = supervisor.run()
            say("stopping")
        say("stopped")
    except Stopped:
        return supervisor.status
    except StartFailed as e:
        if e.child == "migrate":
            # It spoke for itself.
            return supervisor.status or 1
        names = {*ROLES, "redis", "postgres", "gateway"}
        words = home.last_words(e.child) if e.child in names else ""
        detail = f": {words}" if words else ""
        # Several that were late have no log in common.
        log = home.log(e.child) if e.child in names else home.folder("log")
        print(f"fleetline: {e}{detail} (log: {log})", file=sys.stderr)
        return supervisor.status or 1
    finally:
        _forget(home)
    return status


def _forget(home: Home) -> None:
    """Nothing runs any more: a role that was killed could not take its files away itself."""
    for pattern in ("*.pid", "*.new", "state-*.json"):
        for file in home.folder("run").glob(pattern):
            file.unlink(missing_ok=True)


def _start(supervisor: Supervisor, home: Home, settings: Settings, options: Options) -> None:
    say(f"fleetline up in {home.path}, {settings.shards} shards")
    url = _url(settings, gateway=options.gateway)
    home.note({"redis_url": redis_url(settings), "url": url})
    servers = _servers(home, settings, options)
    supervisor.spawn(*servers)
    supervisor.await_ready(SERVERS_TIMEOUT_S)
    for spec in servers:
        say(f"{spec.name}: ready")
    environment = role_environment(settings, home.path)
    sockets = fitting_sockets(settings, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if sockets is not None:
        environment["FANOUT_CONNECTIONS_MAX"] = str(sockets)
        say(f"fanout: at most {sockets} sockets, as this machine allows (ulimit -n)")
    supervisor.spawn(_role("migrate", home, environment, once=True))
    supervisor.await_ready(MIGRATE_TIMEOUT_S)
    supervisor.spawn(*(_role_spec(name, home, settings, environment) for name in options.roles))
    supervisor.await_ready(ROLES_TIMEOUT_S, lambda: _all_answer(home, settings, options))
    for name in options.roles:
        say(f"{name}: ready")
    if options.demo:
        supervisor.spawn(_demo(home, environment, options.demo, settings))
        say(f"demo: {options.demo} drivers")
    # From here on a death is news; before, it is the reason of a failed start.
    supervisor.tell = say
    if settings.auth == "on":
        for line in what_to_paste(settings, settings.public_url.rstrip("/") or url):
            say(line)
    say(f"ready {url}")


def _servers(home: Home, settings: Settings, options: Options) -> list[ChildSpec]:
    servers = []
    if not settings.given("redis_url"):
        servers.append(redis_spec(home, settings.redis_port))
    if not settings.given("database_url"):
        servers.append(postgres_spec(home, settings.postgres_port, say))
    if options.gateway:
        servers.append(gateway_spec(home, settings))
    return servers


def _role(
    name: str, home: Home, environment: dict[str, str], *arguments: str, once: bool = False
) -> ChildSpec:
    return ChildSpec(
        name=name,
        argv=(sys.executable, "-m", "deploy.cli", name, *arguments),
        env=environment,
        # What is done once speaks to the person who waits for it.
        log_file=None if once else home.log(name),
        pid_file=home.pid(name),
        once=once,
    )


def _role_spec(name: str, home: Home, settings: Settings, environment: dict[str, str]) -> ChildSpec:
    """A role as a child: how it is asked whether it works, and how long it may drain."""
    host = local_host(settings)
    checks = {
        "ingest": lambda: http_answers(host, settings.ingest_port, "/health/live"),
        "fanout": lambda: http_answers(host, settings.fanout_port, "/health/ready"),
        "consumers": lambda: _consumers_run(home),
    }
    share_s = settings.drain_timeout_s * STOP_SHARES[name]
    return ChildSpec(
        name=name,
        argv=(sys.executable, "-m", "deploy.cli", name),
        # A role gives up a little before it is killed, so that it ends its own way.
        env={**environment, "DRAIN_TIMEOUT_S": f"{share_s * 0.85:g}"},
        log_file=home.log(name),
        pid_file=home.pid(name),
        ready=checks[name],
        # The two servers of customers may not beat; the supervisor of the consumers does.
        heartbeat_timeout_s=settings.heartbeat_timeout_s,
        beats_from_start=name == "consumers",
        stop_timeout_s=share_s,
    )


def _url(settings: Settings, *, gateway: bool) -> str:
    if not gateway:
        return f"http://{local_host(settings)}:{settings.ingest_port}"
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{local_gateway_host(settings)}:{settings.gateway_port}"


def _demo(home: Home, environment: dict[str, str], drivers: int, settings: Settings) -> ChildSpec:
    # Straight to ingest: the front door's certificate may be nobody's but ours.
    url = _url(settings, gateway=False)
    arguments = ("--drivers", str(drivers), "--rate", str(drivers), "--url", url)
    if settings.auth == "on":
        token, _ = new_token(settings, Role.GATEWAY, "up-demo", DEMO_TOKEN_S)
        # Not an argument: those are for everybody on this machine to see.
        environment = {**environment, "FLEETLINE_TOKEN": token}
    return _role("simulate", home, environment, *arguments)


def _consumers_run(home: Home) -> bool:
    state = read_state(state_file(home.path, "consumers"))
    children = state["children"] if state is not None else None
    return isinstance(children, list) and all(c["state"] == "running" for c in children)


def _all_answer(home: Home, settings: Settings, options: Options) -> bool:
    """The last question before `ready`: does a fix find its whole way."""
    if "ingest" not in options.roles:
        return True
    host = local_host(settings)
    health = fetch_json(host, settings.ingest_port, "/health")
    if health is None:
        return False
    if "consumers" in options.roles:
        shards = health.get("shards")
        # Closed, it tells a stranger only whether all is well, which we want anyway.
        running = isinstance(shards, list) and all(s.get("consumer") == "up" for s in shards)
        if not running and not (settings.auth == "on" and health.get("status") == "ok"):
            return False
    return not options.gateway or http_answers(
        local_gateway_host(settings), settings.gateway_port, "/health", tls=bool(settings.tls_cert)
    )


def _require_packages(settings: Settings, options: Options) -> None:
    if not settings.given("redis_url"):
        packages.require("redis")
    if not settings.given("database_url"):
        packages.require("postgres")
    if options.gateway:
        packages.require("gateway")


def _raise_file_limit() -> None:
    """A socket is a file: children get as many as the machine allows without asking anybody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
