from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ingest.resources.nearby import with_distance
from ingest.resources.nearest import Hit, merge

# Few distances and ids, so that ties are common.
HITS = st.lists(
    st.tuples(st.integers(0, 4).map(float), st.text("abcdef", min_size=1, max_size=3)),
    unique_by=lambda hit: hit[1],
    max_size=30,
)


def ask(shards: Sequence[Sequence[Hit]], count: int) -> list[list[Hit]]:
    """What Redis answers: nearest first, ties in any order (here: backwards), cut at `count`."""
    by_distance = [sorted(s, key=lambda h: h[1], reverse=True) for s in shards]
    return [sorted(s, key=lambda h: h[0])[:count] for s in by_distance]


@given(hits=HITS, shards=st.integers(1, 5), count=st.integers(1, 10))
def test_what_is_certain_begins_the_true_order_for_every_number_of_shards(
    hits: list[Hit], shards: int, count: int
) -> None:
    split = [[h for i, h in enumerate(hits) if i % shards == s] for s in range(shards)]
    merged = merge(ask(split, count), count)
    truth = sorted(hits)
    assert merged.hits == truth[: len(merged.hits)]
    if merged.complete:
        assert merged.hits == truth


@given(hits=HITS, shards=st.integers(1, 5))
def test_asking_for_more_than_there_are_is_complete(hits: list[Hit], shards: int) -> None:
    split = [[h for i, h in enumerate(hits) if i % shards == s] for s in range(shards)]
    assert merge(ask(split, 31), 31).complete


def test_the_distance_joins_the_event_undecoded() -> None:
    assert with_distance(b'{"driver_id":"a"}', 12.3456) == b'{"driver_id":"a","distance":12.35}'
