"""Where Redis is, as REDIS_URL says it: one server, what Sentinels name, or a cluster. Pure.

    redis://host:port/0                       one server; also rediss:// and unix://
    redis+sentinel://a,b,c/name               the primary that the Sentinels a, b and c call name
    redis+cluster://a,b,c                     a cluster; a, b and c are some of its nodes

With `rediss+` in front, TLS is spoken to servers and Sentinels. User, password and `ssl_ca_certs`
are those of all servers; Sentinels have `sentinel_user` and `sentinel_password` in the query.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

from common.errors import ConfigError
from common.redis.url import BEGINNINGS, RedisUrl, parse_redis_url

SENTINEL_PORT = 26379


class PlaceKind(StrEnum):
    """What a URL names."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """`servers`: the server; or the Sentinels; or some nodes. `data` greets servers with data."""

    kind: PlaceKind
    servers: tuple[RedisUrl, ...]
    data: RedisUrl
    # What Sentinels call the primary.
    name: str = ""

    @property
    def is_cluster(self) -> bool:
        """Whether keys lie on several servers."""
        return self.kind is PlaceKind.CLUSTER

    @property
    def is_replicated(self) -> bool:
        """Whether its servers are made to have replicas."""
        return self.kind is not PlaceKind.SINGLE

    def at(self, host: str, port: int) -> RedisUrl:
        """A server of this system, greeted as all of them."""
        return replace(self.data, host=host, port=port)


def parse_place(url: str) -> RedisPlace:
    """Read a URL. Raises `ConfigError`, which never repeats the URL: it may hold a password."""
    scheme, _, rest = url.partition("://")
    transport, _, kind = scheme.partition("+")
    if not kind:
        server = parse_redis_url(url)
        return RedisPlace(PlaceKind.SINGLE, (server,), server)
    if transport not in ("redis", "rediss") or kind not in ("sentinel", "cluster"):
        raise ConfigError(BEGINNINGS)
    authority = rest.partition("/")[0].partition("?")[0]
    credentials, at, hosts = authority.rpartition("@")
    tail = rest[len(authority) :]
    path, query = urlsplit(f"//x{tail}")[2:4]
    named = [f"{transport}://{credentials}{at}{host}" for host in hosts.split(",") if host]
    if not named:
        raise ConfigError(f"REDIS_URL: {scheme}:// needs hosts, separated by commas")
    ca = f"?{query}" if query else ""
    if kind == "cluster":
        return _cluster([parse_redis_url(f"{one}{path}{ca}") for one in named])
    return _sentinel([parse_redis_url(f"{one}{ca}") for one in named], named, path, query)


def _cluster(servers: list[RedisUrl]) -> RedisPlace:
    if any(server.db for server in servers):
        raise ConfigError("REDIS_URL: a cluster has database 0 alone; leave the number out")
    return RedisPlace(PlaceKind.CLUSTER, tuple(servers), servers[0])


def _sentinel(servers: list[RedisUrl], named: list[str], path: str, query: str) -> RedisPlace:
    name, _, number = path.strip("/").partition("/")
    if not name:
        raise ConfigError("REDIS_URL: redis+sentinel:// needs the primary's name behind a slash")
    if number and not number.isdigit():
        raise ConfigError("REDIS_URL: the database must be a number")
    terms = parse_qs(query)
    sentinels = tuple(
        replace(
            server,
            port=server.port if _has_port(one) else SENTINEL_PORT,
            user=terms.get("sentinel_user", [""])[0],
            password=terms.get("sentinel_password", [""])[0],
            db=0,
        )
        for server, one in zip(servers, named, strict=True)
    )
    data = replace(servers[0], db=int(number) if number else servers[0].db)
    return RedisPlace(PlaceKind.SENTINEL, sentinels, data, name)


def _has_port(url: str) -> bool:
    return urlsplit(url).port is not None
