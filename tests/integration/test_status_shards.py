"""What `fleetline status` says of a shard: the fixes that wait, and its counts by name."""

from common.keys import META, shard_keys
from common.redis.client import new_client
from common.settings import load_settings
from common.stream.backlog import ADDED, SETTLED
from consumers.stream.counts.counts import NAMES
from deploy.status import read_shards
from tests.servers.redis_cluster import AnyRedis


def test_a_shard_shows_what_its_consumer_counts(redis_server: AnyRedis) -> None:
    """What broke: a count that got another name, and no status was shown any more."""
    keys = shard_keys("driver-locations", 1, 2)
    redis_server.command("HSET", META, "shards", "2")
    redis_server.command("XADD", keys.stream, "*", "e", "x")
    redis_server.command("XADD", keys.dead, "*", "reason", "x")
    for number, name in enumerate(NAMES, start=1):
        redis_server.command("HSET", keys.counts, name, str(number))
    redis_server.command("HSET", keys.counts, ADDED, "25", SETTLED, "5")
    settings = load_settings(redis_url=redis_server.url)
    with new_client(redis_server.url) as client:
        first, second = (shard.shown() for shard in read_shards(client, settings))
    nothing = dict.fromkeys(("backlog", "pending", "dead_letters", *NAMES), 0)
    assert first == {"shard": 0, **nothing}
    counts = {name: number for number, name in enumerate(NAMES, start=1)}
    assert second == {"shard": 1, "backlog": 20, "pending": 0, "dead_letters": 1, **counts}
