"""From REDIS_URL to connections."""

from collections.abc import Callable

from common.redis.cluster.cluster_nodes import ClusterNodes
from common.redis.nodes import Nodes
from common.redis.place import PlaceKind, RedisPlace, parse_place
from common.redis.sentinel import sentinel_locator
from common.redis.wire import Locate, Wire

# Bytes of commands that may wait for replies on one connection.
INFLIGHT_BYTES_MAX = 64 * 1_048_576
# A reply of another server than its shard's that takes a worker longer means a lost connection.
CLUSTER_REPLY_TIMEOUT_S = 2.0


def new_nodes(
    url: str, *, reply_timeout_s: float, inflight_bytes_max: int = INFLIGHT_BYTES_MAX, name: str
) -> Nodes:
    """The connections that `url` asks for, not started. Raises `ConfigError`."""
    place = parse_place(url)
    limits = {"reply_timeout_s": reply_timeout_s, "inflight_bytes_max": inflight_bytes_max}
    if place.is_cluster:
        return ClusterNodes(place, **limits, name=name)  # type: ignore[arg-type]
    return Nodes(new_wire(url, **limits, name=name))  # type: ignore[arg-type]


def new_wire(
    url: str, *, reply_timeout_s: float, inflight_bytes_max: int = INFLIGHT_BYTES_MAX, name: str
) -> Wire:
    """A connection to the one primary that `url` names, not started. Raises `ConfigError`."""
    place = parse_place(url)
    return Wire(
        url if place.kind is PlaceKind.SINGLE else locator(place),
        reply_timeout_s=reply_timeout_s,
        inflight_bytes_max=inflight_bytes_max,
        name=name,
    )


def new_wires(
    url: str, slot: int, *, name: str
) -> tuple[Callable[[float], Wire], ClusterNodes | None]:
    """What makes connections to the server of `slot`, from their reply timeouts, not started; and
    the cluster that they belong to, to be started before them. Raises `ConfigError`.
    """
    place = parse_place(url)
    if not place.is_cluster:
        return lambda timeout_s: new_wire(url, reply_timeout_s=timeout_s, name=name), None
    cluster = ClusterNodes(
        place,
        reply_timeout_s=CLUSTER_REPLY_TIMEOUT_S,
        inflight_bytes_max=INFLIGHT_BYTES_MAX,
        name=name,
    )
    return lambda timeout_s: cluster.pinned(slot, reply_timeout_s=timeout_s, name=name), cluster


def locator(place: RedisPlace) -> Locate:
    """What finds the one primary of `place`, which is no cluster, before each connection."""
    if place.kind is PlaceKind.SENTINEL:
        return sentinel_locator(place)

    async def locate() -> object:
        return place.data

    return locate  # type: ignore[return-value]
