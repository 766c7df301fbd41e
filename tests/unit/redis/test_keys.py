"""Keys and shards: written down, because changing them loses data."""

from collections import Counter
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from common import keys
from common.redis.carry_over import new_name, new_rate_name, old_stream_name
from common.shards import Shards
from common.slots import SLOTS, shard_tags, slot_of

# Of all names together.
TAGS_OF_256 = 1_445_564_562


def test_the_shard_of_a_driver_is_forever():
    found = [keys.shard_of(f"driver-{n}", 4) for n in range(8)]
    assert found == [3, 1, 3, 1, 2, 0, 2, 0]
    assert keys.shard_of("DRV:1.a_b-c", 7) == 4


@given(st.text("abcXYZ019._:-", min_size=1, max_size=64), st.integers(1, 1024))
def test_every_driver_has_a_shard(driver_id, shards):
    assert 0 <= keys.shard_of(driver_id, shards) < shards


def test_names():
    assert keys.shard_keys("driver-locations", 3, 4) == keys.tagged_keys(
        "driver-locations", "{1.3-1}"
    )
    assert keys.tagged_keys("driver-locations", "{T}") == keys.ShardKeys(
        stream="driver-locations:{T}",
        live="live:{T}",
        geo="geo:{T}",
        seen="seen:{T}",
        dead="dead:{T}",
        cursor="cursor:{T}",
        consumer="consumer:{T}",
        fence="fence:{T}",
        closed="closed:{T}",
        counts="counts:{T}",
        rate="rate:{T}:",
        places="places:{T}",
        probe="probe:{T}",
        fleet="fleet:{T}",
    )
    assert keys.order_key("o1") == "order:{o45.40}:o1"


def test_tags_are_forever():
    """They name the data of every home: another rule would find nothing of it."""
    assert shard_tags(4, 1) == ("{1.0-b}", "{1.1-1}", "{1.2-b}", "{1.3-1}")
    found = crc32("".join(shard_tags(256, 1)).encode())
    assert found == TAGS_OF_256


@given(st.integers(1, 300), st.integers(1, 9))
def test_shards_spread_evenly_over_primaries_that_divide_them(shards, epoch):
    slots = [slot_of(tag) for tag in shard_tags(shards, epoch)]
    for primaries in (p for p in range(1, shards + 1) if shards % p == 0):
        owned = Counter(slot * primaries // SLOTS for slot in slots)
        assert set(owned.values()) == {shards // primaries}


def test_two_layouts_have_no_key_in_common():
    first, second = (set(shard_tags(16, epoch)) for epoch in (1, 2))
    assert len(first) == len(second) == 16
    assert not first & second


IDS = st.text("abcXYZ019._:-", min_size=1, max_size=64)


@given(IDS)
def test_the_keys_of_an_order_share_a_slot(order_id):
    slots = {key_slot(k(order_id).encode()) for k in (keys.order_key, keys.order_ended_key)}
    assert len(slots) == 1


def test_orders_spread_evenly_over_any_cluster():
    slots = {slot_of(keys.order_key(f"order-{n}")) for n in range(5_000)}
    assert len(slots) == keys.ORDER_BUCKETS
    for primaries in (2, 3, 4, 8):
        held = Counter(slot * primaries // SLOTS for slot in slots)
        assert max(held.values()) - min(held.values()) <= 2


@given(st.text(min_size=1, max_size=40))
def test_slots_are_those_of_the_cluster_specification(key):
    assert slot_of(key) == key_slot(key.encode())


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
    assert new_rate_name(f"rate:{{3}}:{order_id}", "s", 4) == f"rate:{{1.3-1}}:{order_id}"
    assert new_rate_name(f"rate:{{1.3-1}}:{order_id}", "s", 4) is None
    assert new_name("order:") is None


def test_the_old_name_of_a_stream_is_known():
    assert old_stream_name("driver-locations:{1.3-1}") == "driver-locations:{3}"
    assert old_stream_name(keys.shard_keys("s", 17, 64).stream) == "s:{17}"
    assert old_stream_name(keys.shard_keys("s", 3, 4, epoch=2).stream) is None
    assert old_stream_name("driver-locations:{3}") is None
