"""Keys and shards: written down, because changing them loses data."""

from hypothesis import given
from hypothesis import strategies as st

from common import keys


def test_the_shard_of_a_driver_is_forever():
    found = [keys.shard_of(f"driver-{n}", 4) for n in range(8)]
    assert found == [3, 1, 3, 1, 2, 0, 2, 0]
    assert keys.shard_of("DRV:1.a_b-c", 7) == 4


@given(st.text("abcXYZ019._:-", min_size=1, max_size=64), st.integers(1, 1024))
def test_every_driver_has_a_shard(driver_id, shards):
    assert 0 <= keys.shard_of(driver_id, shards) < shards


def test_names():
    assert keys.shard_keys("driver-locations", 3) == keys.ShardKeys(
        stream="driver-locations:{3}",
        live="live:{3}",
        geo="geo:{3}",
        seen="seen:{3}",
        dead="dead:{3}",
        consumer="consumer:{3}",
        counts="counts:{3}",
    )
    assert keys.order_key("o1") == "order:o1"
    assert keys.order_ended_key("o1") == "order-ended:o1"
    assert keys.fleet_channel(3) == "fleet:3"
