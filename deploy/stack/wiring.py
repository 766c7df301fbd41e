"""Ports and addresses of a stack on this machine: pure rules over the settings."""

from collections.abc import Mapping
from pathlib import Path

from common.contract import Vehicle
from common.errors import ConfigError
from common.metrics.catalogue import PORT_FIRST, ROLES, metrics_port
from common.roads.urls import VEHICLES
from common.settings import Settings, load_settings

# --port P moves everything by these; without it the embedded servers keep ports of their own.
OFFSETS = {
    "gateway_port": 0,
    "ingest_port": 8,
    "fanout_port": 9,
    "redis_port": 10,
    "postgres_port": 11,
    # The first of three: an engine for each kind of vehicle.
    "roads_port": 12,
    "planner_port": 15,
    # The first of as many as there are roles.
    "metrics_port": 20,
}
# Of the nodes of an embedded cluster, from REDIS_PORT: for clients, and for the other nodes.
# With --port P those are P+16 to P+19, P+29 and P+30, between and behind all others.
CLUSTER_PORTS = (6, 7, 8, 9, 19, 20)
CLUSTER_BUS_PORTS = range(-9, -3)
CLUSTER_PRIMARIES = 3
# A multiple of the primaries: each has as many.
CLUSTER_SHARDS = 6
PORT_MAX = 65_535 - max(OFFSETS.values()) - len(ROLES)
# Files that a role opens beside its sockets; more than any role asks for.
SPARE_FILES = 512
# Shares of the common deadline, in stop order. What the roles leave is for the servers.
STOP_SHARES = {
    "ingest": 0.25, "fanout": 0.25, "consumers": 0.28, "places": 0.05, "hooks": 0.05,
    "arrivals": 0.04, "insight": 0.04, "planner": 0.02, "roads": 0.02,
}  # fmt: skip


def up_settings(
    port: int | None,
    home: Path | None,
    shards: int | None,
    more: Mapping[str, object] | None = None,
    *,
    cluster: bool = False,
) -> Settings:
    """The settings of `fleetline up`: its options win over the environment."""
    overrides: dict[str, object] = dict(more or {})
    if port is not None:
        if not 1 <= port <= PORT_MAX:
            raise ConfigError(f"--port: must be 1-{PORT_MAX}, not {port}: some above it are used")
        overrides |= {name: port + offset for name, offset in OFFSETS.items()}
    if home is not None:
        overrides["fleetline_home"] = home
    if shards is not None:
        overrides["shards"] = shards
    settings = load_settings(**overrides)
    if not cluster:
        return settings
    if settings.given("redis_url"):
        raise ConfigError("--cluster: REDIS_URL names a Redis already")
    if not settings.given("shards"):
        return load_settings(**overrides, shards=CLUSTER_SHARDS)
    return settings


def redis_url(settings: Settings, password: str = "") -> str:
    """The server that is used: the given one, or the embedded one, which wants `password`."""
    if settings.given("redis_url"):
        return settings.redis_url
    user = f":{password}@" if password else ""
    return f"redis://{user}127.0.0.1:{settings.redis_port}/0"


def cluster_url(settings: Settings, password: str) -> str:
    """The embedded cluster."""
    nodes = ",".join(f"127.0.0.1:{port}" for port, _ in cluster_ports(settings))
    return f"redis+cluster://:{password}@{nodes}"


def cluster_ports(settings: Settings) -> list[tuple[int, int]]:
    """The ports of each node of the embedded cluster, primaries first."""
    first = settings.redis_port
    return [
        (first + port, first + bus)
        for port, bus in zip(CLUSTER_PORTS, CLUSTER_BUS_PORTS, strict=True)
    ]


def database_url(settings: Settings, password: str = "") -> str:
    """Likewise for the database."""
    if settings.given("database_url"):
        return settings.database_url
    user = f"fleetline:{password}" if password else "fleetline"
    return f"postgresql://{user}@127.0.0.1:{settings.postgres_port}/fleetline"


def local_host(settings: Settings) -> str:
    """The address at which this machine reaches what listens on BIND_HOST."""
    return reached_at(settings.bind_host)


def gateway_host(settings: Settings) -> str:
    """Where the front door listens."""
    return settings.gateway_host or settings.bind_host


def local_gateway_host(settings: Settings) -> str:
    """The address at which this machine reaches the front door."""
    return reached_at(gateway_host(settings))


def reached_at(host: str) -> str:
    """The address at which this machine reaches what listens on `host`."""
    everywhere = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound
    return everywhere.get(host, host)


def fitting_sockets(settings: Settings, files_max: int) -> int | None:
    """FANOUT_CONNECTIONS_MAX for a machine that allows `files_max` open files a process.

    None when the setting stands: it fits, or an operator set it, whom the fan-out then refuses.
    """
    fits = files_max - SPARE_FILES
    if settings.given("fanout_connections_max") or settings.fanout_connections_max <= fits:
        return None
    return max(1, fits)


def engine_ports(settings: Settings) -> dict[Vehicle, int]:
    """Ports of the road engines of this machine."""
    return {vehicle: settings.roads_port + place for place, vehicle in enumerate(VEHICLES)}


def engine_urls(settings: Settings) -> str:
    """ROADS_URL of a stack that runs its own."""
    ports = engine_ports(settings)
    return ",".join(f"{vehicle}=http://127.0.0.1:{port}" for vehicle, port in ports.items())


def role_metrics_port(settings: Settings, role: str) -> int:
    """Where a role of this stack serves its metrics: METRICS_PORT is that of the first."""
    return metrics_port(role, settings.metrics_port or PORT_FIRST)


def ports_needed(
    settings: Settings, roles: tuple[str, ...], *, gateway: bool, cluster: bool = False
) -> list[tuple[str, str, int]]:
    """(setting, address, port) of everything that will listen."""
    needed = []
    if cluster:
        ports = (port for pair in cluster_ports(settings) for port in pair)
        needed += [("REDIS_PORT", "127.0.0.1", port) for port in ports]
    elif not settings.given("redis_url"):
        needed.append(("REDIS_PORT", "127.0.0.1", settings.redis_port))
    if not settings.given("database_url"):
        needed.append(("POSTGRES_PORT", "127.0.0.1", settings.postgres_port))
    if gateway:
        needed.append(("GATEWAY_PORT", gateway_host(settings), settings.gateway_port))
    if "ingest" in roles:
        needed.append(("INGEST_PORT", settings.bind_host, settings.ingest_port))
    if "fanout" in roles:
        needed.append(("FANOUT_PORT", settings.bind_host, settings.fanout_port))
    if "roads" in roles:
        needed += [("ROADS_PORT", "127.0.0.1", port) for port in engine_ports(settings).values()]
    if "planner" in roles:
        needed.append(("PLANNER_PORT", settings.planner_host, settings.planner_port))
    needed += [
        ("METRICS_PORT", settings.metrics_host, role_metrics_port(settings, role)) for role in roles
    ]
    return needed
