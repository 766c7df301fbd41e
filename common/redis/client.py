"""redis-py, for what is not hot: the look at a start, and the tools. Hot paths have `Wire`.

A command is tried once: redis-py would try ten times, and a lost reply would be a command done
twice. Its wait is limited, because a server may take connections and answer nothing. In a cluster a
command is led on to the primary that has its key.
"""

from typing import Any

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.cluster
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.errors import ConfigError
from common.redis.place import PlaceKind, RedisPlace, parse_place
from common.redis.url import RedisUrl

TIMEOUT_S = 5.0
# How often a cluster's client may be led on before it gives up.
CLUSTER_TRIES = 3
# Bytes in Redis need not be text. They are decoded all the same; the caller judges them.
_ON_ODD_BYTES = "replace"


def new_client(url: str, *, decode: bool = True, timeout_s: float = TIMEOUT_S) -> Any:
    """A `redis.Redis`; connects with its first command. Raises `ConfigError`.

    For a cluster a `redis.RedisCluster`, which asks the cluster at once: what redis-py raises then.
    """
    place = parse_place(url)
    retry = Retry(NoBackoff(), CLUSTER_TRIES if place.is_cluster else 0)
    if place.is_cluster:
        new_node: Any = redis.cluster.ClusterNode
        nodes = [new_node(s.host, s.port) for s in place.servers]
        options = _options(place.data, decode, timeout_s)
        # A primary that is away is no reason to be shut out of the others.
        options["require_full_coverage"] = False
        return redis.RedisCluster(startup_nodes=nodes, retry=retry, **options)
    if place.kind is PlaceKind.SENTINEL:
        server = _primary_of(place, timeout_s)
        return redis.Redis(**_single(server, retry, decode, timeout_s))
    return _new(redis.Redis, url, retry, decode, timeout_s)


def new_async_client(url: str, *, decode: bool = True, timeout_s: float = TIMEOUT_S) -> Any:
    """A `redis.asyncio.Redis` or, for a cluster, `RedisCluster`; connects with its first command.

    Behind Sentinels the primary has to be found first, see `async_client_at`. Raises `ConfigError`.
    """
    place = parse_place(url)
    retry = AsyncRetry(NoBackoff(), CLUSTER_TRIES if place.is_cluster else 0)
    if place.is_cluster:
        nodes = [redis.asyncio.cluster.ClusterNode(s.host, s.port) for s in place.servers]
        options = _options(place.data, decode, timeout_s)
        options["require_full_coverage"] = False
        return redis.asyncio.RedisCluster(startup_nodes=nodes, retry=retry, **options)
    return _new(redis.asyncio.Redis, url, retry, decode, timeout_s)


def _new(kind: Any, url: str, retry: object, decode: bool, timeout_s: float) -> Any:
    # What redis-py says of a wrong URL may hold part of a password; what `parse_place` says does
    # not.
    try:
        return kind.from_url(
            url,
            decode_responses=decode,
            encoding_errors=_ON_ODD_BYTES,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=retry,
        )
    except ValueError:
        raise ConfigError("REDIS_URL: is not a Redis URL") from None


def async_client_at(server: RedisUrl) -> Any:
    """A `redis.asyncio.Redis` of this server, decoding; connects with its first command."""
    return redis.asyncio.Redis(
        **_single(server, AsyncRetry(NoBackoff(), 0), decode=True, timeout_s=TIMEOUT_S)
    )


def _primary_of(place: RedisPlace, timeout_s: float) -> RedisUrl:
    asking = _options(place.servers[0], decode=True, timeout_s=timeout_s)
    hosts = [(server.host, server.port) for server in place.servers]
    new_sentinels: Any = redis.sentinel.Sentinel
    sentinels = new_sentinels(hosts, sentinel_kwargs=asking)
    try:
        host, port = sentinels.discover_master(place.name)
    finally:
        # Its own clients of the primary would leave these open.
        for asked in sentinels.sentinels:
            asked.close()
    return place.at(host, port)


def _single(server: RedisUrl, retry: object, decode: bool, timeout_s: float) -> dict[str, Any]:
    where = {"host": server.host, "port": server.port, "db": server.db, "retry": retry}
    return where | _options(server, decode, timeout_s)


def _options(server: RedisUrl, decode: bool, timeout_s: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "username": server.user or None,
        "password": server.password or None,
        "decode_responses": decode,
        "encoding_errors": _ON_ODD_BYTES,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
    }
    if server.tls:
        options |= {"ssl": True, "ssl_ca_certs": server.ca_file or None}
    return options
