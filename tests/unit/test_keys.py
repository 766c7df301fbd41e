"""Keys and shards: written down, because changing them loses data."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from common import keys
from common.redis.carry_over import new_name
from common.shards import Shards


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
        cursor="cursor:{3}",
        consumer="consumer:{3}",
        fence="fence:{3}",
        counts="counts:{3}",
        rate="rate:{3}:",
        places="places:{3}",
    )
    assert keys.order_key("o1") == "order:{o45.40}:o1"
    assert keys.fleet_channel(3) == "fleet:3"


IDS = st.text("abcXYZ019._:-", min_size=1, max_size=64)


@given(IDS)
def test_the_keys_of_an_order_share_a_slot(order_id):
    slots = {key_slot(k(order_id).encode()) for k in (keys.order_key, keys.order_ended_key)}
    assert len(slots) == 1


def test_orders_spread_evenly_over_any_cluster():
    slots = {keys.slot_of(keys.order_key(f"order-{n}")) for n in range(5_000)}
    assert len(slots) == keys.ORDER_BUCKETS
    for primaries in (2, 3, 4, 8):
        held = Counter(slot * primaries // keys.SLOTS for slot in slots)
        assert max(held.values()) - min(held.values()) <= 2


@given(st.text(min_size=1, max_size=40))
def test_slots_are_those_of_the_cluster_specification(key):
    assert keys.slot_of(key) == key_slot(key.encode())


@given(IDS, st.integers(1, 64))
def test_the_keys_of_a_shard_share_a_slot(driver_id, count):
    shard = Shards("driver-locations", count).of(driver_id)
    assert shard.index == keys.shard_of(driver_id, count)
    names = [getattr(shard.keys, name) for name in keys.ShardKeys.__slots__]
    assert len({key_slot(name.encode()) for name in names}) == 1


@given(IDS)
def test_a_name_of_the_format_before_is_carried_over_once(order_id):
    for stem, build in (("order", keys.order_key), ("order-ended", keys.order_ended_key)):
        name = new_name(f"{stem}:{order_id}")
        assert name == build(order_id)
        assert new_name(name) is None
    assert new_name("driver-locations:{3}") is None
    assert new_name("order:") is None
