"""All settings of Fleetline: one frozen object, built in entry points and handed down.

Read from the environment, then from `.env`. Names are the fields' names in upper case; units
stand last. Whatever is bounded has its limit here. `.env.example` lists the same settings; a
test keeps the two together.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import SettingsConfigDict

from common.contract import ORDER_ENDED_TTL_S
from common.errors import ConfigError
from common.layout import SHARDS_MAX
from common.roads.urls import parse_roads_url
from common.settings.arrivals import ArrivalSettings
from common.settings.authorities import require_redis_authorities
from common.settings.closed import require_auth_when_public
from common.settings.databases import DatabaseSettings
from common.settings.files import IN_FILES, FromFiles, file_variable, given_values, require_one
from common.settings.insight import require_insight
from common.settings.lists import parse_hosts, parse_networks
from common.settings.names import RETIRED, misspelt
from common.settings.observing import ObservingSettings
from common.settings.plans import PlanSettings
from common.settings.roads import RoadSettings
from common.settings.webhooks import WebhookSettings

Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]
# A century at most: what is counted back from now stays in the calendar.
Seconds = Annotated[float, Field(gt=0, le=100 * 366 * 86_400.0)]
Millis = Annotated[int, Field(ge=1)]
# Plain characters only: its host becomes part of a security header.
_TILE_URL = re.compile(
    r"(?=.*[{]z[}])(?=.*[{]x[}])(?=.*[{]y[}])"
    r"(https?://([{]s[}][.])?[A-Za-z0-9.-]+(:[0-9]{1,5})?)?/[A-Za-z0-9._~/{}@?=&%+-]*"
)


class Settings(
    ArrivalSettings,
    DatabaseSettings,
    ObservingSettings,
    PlanSettings,
    RoadSettings,
    WebhookSettings,
    FromFiles,
):
    """Every setting with its default. The comment above each is what `.env.example` says."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    # Redis or Valkey: redis://, rediss:// or unix://, with user, password and database number;
    # redis+sentinel://a,b,c/name asks Sentinels, redis+cluster://a,b,c names nodes of a cluster.
    redis_url: str = "redis://127.0.0.1:6381/0"
    # Whether an accepted fix is on a replica of Redis, too. auto: while one is connected; strict:
    # always, or it is refused; off: never.
    replication: Literal["auto", "strict", "off"] = "auto"
    # Number of streams of a new system. One that has data keeps its own: fleetline reshard.
    shards: Annotated[int, Field(ge=1, le=SHARDS_MAX)] = 4
    # Stem of the streams' names: <stem>:{shard}.
    stream_name: str = "driver-locations"
    # Consumer group that reads the streams.
    consumer_group: str = "location-processors"
    # Where `fleetline up` keeps data, logs and pid files.
    fleetline_home: Path = Path(".fleetline")
    # debug, info, warning or error.
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # Address that ingest, fan-out and the front door listen on.
    bind_host: str = "127.0.0.1"
    # Address of the front door alone, so that the others can stay on loopback; empty: BIND_HOST.
    gateway_host: str = ""
    # Load balancers before the front door, whose X-Forwarded-For it believes: addresses and
    # networks, separated by commas.
    trusted_proxies: str = ""
    # Where the front door is when it is not on this machine: addresses and networks, separated
    # by commas. Ingest and fan-out believe its X-Real-IP.
    front_doors: str = ""
    # Host where `fleetline gateway` finds ingest; empty: this machine.
    ingest_host: str = ""
    # Host where it finds the fan-out; empty: this machine.
    fanout_host: str = ""
    # Port of the front door (nginx: HTTP and WebSocket).
    gateway_port: Port = 8002
    # Port of ingest.
    ingest_port: Port = 8010
    # Port of the fan-out.
    fanout_port: Port = 8011
    # Port of the embedded Redis.
    redis_port: Port = 6381
    # Port of the embedded PostgreSQL.
    postgres_port: Port = 5434

    # Worker processes of ingest; each holds one connection to Redis.
    ingest_workers: Annotated[int, Field(ge=1, le=64)] = 1
    # Connections one ingest worker accepts; idle keep-alive drivers count.
    ingest_connections_max: Count = 16384
    # A body must have arrived within this time, in seconds.
    body_timeout_s: Seconds = 10.0
    # Least time between two writes of one ingest worker to Redis, in milliseconds: what comes
    # meanwhile shares one entry and one fsync; 0: none.
    pack_gap_ms: Annotated[int, Field(ge=0, le=20)] = 0
    # Fixes that may wait in one shard, not yet stored; then 503 until the consumers catch up. The
    # memory of Redis is a bound in any case: they may fill nine tenths of its maxmemory.
    backlog_max: Count = 10_000_000
    # How far a recorded_at may lie in the future, in seconds (a day: wrong time zones happen).
    clock_skew_max_s: Seconds = 86_400.0
    # How old a recorded_at may be, in seconds (30 days: phones deliver their queues late).
    event_age_max_s: Seconds = 30 * 86_400.0
    # Whose time a phone app's fix gets that is too old or too far in the future: device (such a
    # fix is never stored) or server (it is dated by its arrival, for fleets with wrong clocks).
    app_time: Literal["device", "server"] = "device"
    # A route query must be done within this time, in seconds; then 503.
    route_timeout_s: Seconds = 10.0

    # on: every request needs a token or a key. off is for loopback only.
    auth: Literal["on", "off"] = "off"
    # Names beside localhost by which AUTH=off may be asked, separated by commas (10.0.2.2).
    allowed_hosts: str = ""
    # Secrets of 32 bytes or more that sign tokens (HS256), separated by commas; the first signs.
    auth_secret: Annotated[str, Field(repr=False)] = ""
    # Public keys of your identity provider: a JWKS or PEM file (RS256, ES256 or EdDSA).
    auth_jwks: str = ""
    # The `aud` that tokens must have.
    auth_audience: Annotated[str, Field(min_length=1)] = "fleetline"
    # How long a tracking link works, in seconds; it ends with its order anyway.
    tracking_token_ttl_s: Annotated[int, Field(ge=60, le=ORDER_ENDED_TTL_S)] = 86_400
    # Address of the front door as customers see it, as in https://track.example.org; for links.
    public_url: str = ""
    # Origins whose pages may call the HTTP API, separated by commas; empty: the same host only.
    cors_origins: str = ""
    # Certificate chain of the front door (PEM); with it the door speaks TLS alone.
    tls_cert: str = ""
    # Its private key (PEM).
    tls_key: str = ""
    # Fixes a second one driver may send in the long run; 0 means no limit.
    rate_fixes_per_s: Annotated[float, Field(ge=0, le=10_000)] = 10.0
    # Fixes one driver may send at once before that limit: a phone that was offline for hours.
    rate_burst: Annotated[int, Field(ge=1, le=1_000_000)] = 5000
    # Refused requests (401, 403) of one address in a minute; then 429. 0 means no limit.
    refusals_per_address_max: Annotated[int, Field(ge=0)] = 20
    # Handshakes of one tracking link in a minute; then 429. 0 means no limit.
    handshakes_per_token_max: Annotated[int, Field(ge=0)] = 600

    # A position older than this is not shown any more, in seconds.
    location_ttl: Annotated[int, Field(ge=1)] = 300
    # How long an order's newest position is kept for a customer who connects later, in seconds.
    order_ttl_s: Count = 86_400
    # open: orders that nobody registered are shown too. registered: they are shown to nobody.
    orders: Literal["open", "registered"] = "open"
    # A driver is at an order's pick-up or drop-off within this distance, in metres.
    order_radius_m: Annotated[float, Field(ge=10, le=5000)] = 60.0

    # Record failures of an entry before it becomes a dead letter.
    max_retries: Annotated[int, Field(ge=1, le=100)] = 3
    # Entries idle for longer with a consumer that is gone are taken over, in milliseconds.
    pending_message_timeout: Millis = 60_000
    # Rows that make a batch for the history.
    history_rows: Annotated[int, Field(ge=1, le=50_000)] = 8000
    # Longest time a row waits for its batch to fill, in milliseconds.
    history_linger_ms: Millis = 200
    # Any statement of the history must be done within this time, in seconds.
    database_timeout_s: Seconds = 10.0
    # A worker that makes no progress for this long is replaced, in seconds.
    heartbeat_timeout_s: Seconds = 15.0

    # on: trips, stops and statistics are computed from the history. off: they are not.
    insight: Literal["on", "off"] = "on"
    # on: events of geofences, orders and drivers. off: nothing happens by itself.
    places: Literal["on", "off"] = "on"
    # Events older than this many days are dropped.
    events_retention_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    # A driver that stays within this of its first fix may be at a stop, in metres.
    stop_radius_m: Annotated[float, Field(ge=10, le=10_000)] = 50.0
    # It must stay for at least this long, in seconds.
    stop_min_s: Annotated[float, Field(ge=1, le=86_400)] = 120.0
    # No fix for longer than this ends a stop or a trip, in seconds.
    gap_s: Annotated[float, Field(ge=10, le=86_400)] = 900.0
    # What moves less between two stops is no trip, in metres.
    trip_min_m: Annotated[float, Field(ge=0, le=100_000)] = 200.0
    # Time above this speed is summed up, in km/h; 0: there is no limit.
    speed_limit_kmh: Annotated[float, Field(ge=0, le=200)] = 0.0
    # Fixes older than this many days may be dropped (fleetline retention); 0: they are kept.
    history_retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0

    # Sockets one fan-out process accepts; then 503 before the upgrade.
    fanout_connections_max: Count = 20_000
    # Sockets of one tracking link, in each process; then 429. 0 means no limit.
    sockets_per_token_max: Annotated[int, Field(ge=0)] = 20
    # Sockets that watch one order, in each process; then 429. 0 means no limit.
    sockets_per_order_max: Annotated[int, Field(ge=0)] = 200
    # Sockets without a token (AUTH=off) from one other machine, in each process; 0: no limit.
    fanout_connections_per_address_max: Annotated[int, Field(ge=0)] = 1000
    # Origins that browsers may watch from, separated by commas; empty means the same host only.
    ws_origins: str = ""
    # Processes of the fan-out; limits on sockets, handshakes and refusals hold for each of them.
    fanout_workers: Annotated[int, Field(ge=1, le=64)] = 1

    # Map tiles of the pages: https://host/{z}/{x}/{y}.png or a path; empty means the streets that
    # `fleetline streets` built, or else a plain grid.
    tile_url: str = ""
    # What the tile server wants to be named as, in a corner of the map.
    tile_attribution: str = ""
    # The customer's page calls a position older than this old, in seconds.
    stale_age_s: Count = 60

    # One shared deadline for a graceful stop of a role, in seconds.
    drain_timeout_s: Annotated[float, Field(gt=0, le=60)] = 8.0

    @model_validator(mode="after")
    def relations(self) -> Self:
        """Check what must hold between settings."""
        if self.heartbeat_timeout_s < self.database_timeout_s + 2:
            raise ValueError("HEARTBEAT_TIMEOUT_S must exceed DATABASE_TIMEOUT_S by 2 s or more")
        if self.heartbeat_timeout_s * 1000 < 2 * self.history_linger_ms:
            raise ValueError("HEARTBEAT_TIMEOUT_S must be at least twice HISTORY_LINGER_MS")
        require_insight(self)
        if self.tile_url and not _TILE_URL.fullmatch(self.tile_url):
            raise ValueError("TILE_URL must be a path or an http(s) URL with {z}, {x} and {y}")
        parse_networks("TRUSTED_PROXIES", self.trusted_proxies)
        parse_networks("FRONT_DOORS", self.front_doors)
        for name in ("ingest_host", "fanout_host"):
            if len(parse_hosts(name.upper(), getattr(self, name))) > 1:
                raise ValueError(f"{name.upper()} must be one host")
        for name in ("stream_name", "consumer_group"):
            value = getattr(self, name)
            if not value or any(c in value for c in "{}\r\n "):
                raise ValueError(f"{name.upper()} must not be empty or hold braces or spaces")
        require_auth_when_public(self)
        self.webhook_keys()
        parse_roads_url(self.roads_url)
        require_redis_authorities(self.redis_url)
        return self

    def front_door_url(self) -> str:
        """Where customers find the front door, without a slash at the end."""
        scheme = "https" if self.tls_cert else "http"
        return self.public_url.rstrip("/") or f"{scheme}://127.0.0.1:{self.gateway_port}"

    def given(self, name: str) -> bool:
        """Whether `name` (a field) was set by the environment or by `.env`, not by default."""
        return name in self.model_fields_set

    def environment(self) -> dict[str, str]:
        """What a child of this process is told: all but what it reads from a file itself."""
        given = given_values()
        in_files = {name for name in IN_FILES if given.get(file_variable(name))}
        if "database_urls" in in_files:
            # It is the first of them.
            in_files.add("database_url")
        values = self.model_dump(mode="json", exclude=in_files)
        return {name.upper(): str(value) for name, value in values.items()}


def load_settings(**overrides: object) -> Settings:
    """Build the settings; `overrides` win over the environment.

    Raises `ConfigError` with one line that names the variable at fault.
    """
    values = given_values()
    names = set(values)
    if retired := sorted(names & RETIRED):
        raise ConfigError(f"{retired[0]}: it is no setting any more; remove it")
    slip = misspelt(names, Settings.model_fields)
    if slip is not None:
        raise ConfigError(f"{slip[0]}: there is no such setting; {slip[1]} is one")
    require_one(values)
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as e:
        raise ConfigError(_one_line(e)) from e


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]).upper()
    detail = first["msg"].removeprefix("Value error, ")
    if not name:
        return detail
    # A secret, and a URL, which may hold a password, are never repeated.
    value = "" if name.endswith(("_URL", "_URLS", "_SECRET")) else f", not {first['input']!r}"
    return f"{name}: {detail}{value}"
