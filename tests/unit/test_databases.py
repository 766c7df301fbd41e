"""Which database holds what, and what a database says of itself."""

from itertools import chain
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.databases.placing import (
    database_of,
    databases_of,
    history_groups,
    parse_urls,
)
from common.databases.seat import HOME, ONLY, Seat, require_seat, seats
from common.errors import ConfigError
from common.settings import load_settings
from common.stream.pack import encode_pack
from consumers.history.own_fixes import OwnFixes
from consumers.stream.entry import Entry, PickedEntry, decode_page
from consumers.stream.poison.trial import Trial
from deploy.tools.databases.split import OF_HOME, not_here
from ingest.resources.insight.heat import added_up
from tests.unit.stream.test_entry import PACKS

URLS = "postgresql://a:s3cret@one/f", "postgres://b,c/f?target_session_attrs=primary"


def test_a_driver_stays_where_it_is_for_ever() -> None:
    """Another rule would look for the past of half of the drivers where it is not."""
    assert [database_of(f"driver-{n}", 3) for n in range(8)] == [2, 1, 2, 0, 2, 1, 1, 0]
    assert database_of("d1", 2) == crc32(b"d1") % 2
    assert database_of("anybody", 1) == 0


@given(st.integers(1, 24), st.integers(1, 12))
def test_a_shard_knows_the_databases_of_its_drivers(shards: int, databases: int) -> None:
    held: dict[int, set[int]] = {shard: set() for shard in range(shards)}
    for number in range(shards * databases * 2):
        held[number % shards].add(number % databases)
    for shard, expected in held.items():
        assert set(databases_of(shard, shards, databases)) == expected
    if shards % databases == 0:
        assert all(len(found) == 1 for found in held.values())


def test_groups_are_called_as_before_where_a_shard_has_one_database() -> None:
    assert history_groups("g", 3, 4, 1) == (("g", 0),)
    assert [history_groups("g", shard, 4, 2) for shard in range(4)] == [
        *((("g", 0),), (("g", 1),)),
        *((("g", 0),), (("g", 1),)),
    ]
    assert history_groups("g", 0, 1, 3) == (("g", 0), ("g.2", 1), ("g.3", 2))
    assert history_groups("g", 1, 2, 4) == (("g", 1), ("g.4", 3))


@given(PACKS, st.integers(1, 3), st.integers(1, 4))
def test_each_fix_is_of_one_database_and_keeps_its_position(
    packs: list[list[bytes] | None], shards: int, databases: int
) -> None:
    entries = [
        Entry(b"%d-0" % n, None if lines is None else encode_pack(lines))
        for n, lines in enumerate(packs)
    ]
    of_shard = databases_of(0, shards, databases)
    pages = [
        decode_page(
            [OwnFixes(number, of_shard, databases).pick(entry) for entry in entries], picked=True
        )
        for number in of_shard
    ]
    whole = decode_page(entries)
    for name in ("events", "undecodable"):
        parts = sorted(chain.from_iterable(getattr(page, name) for page in pages), key=_place)
        assert parts == sorted(getattr(whole, name), key=_place)
    for number, page in zip(of_shard, pages, strict=True):
        assert page.vanished == whole.vanished
        for placed in page.events:
            found = database_of(placed.event.driver_id, databases)
            assert found == number or found not in of_shard
    counted = [
        sum(OwnFixes(number, of_shard, databases).pick(entry).fixes for entry in entries)
        for number in of_shard
    ]
    assert sum(counted) == sum(entry.fixes for entry in entries)


def _place(placed: object) -> tuple[bytes, int]:
    position = placed.position  # type: ignore[attr-defined]
    return position.entry_id, position.place or 0


def test_a_killer_is_named_by_its_place_in_the_stream() -> None:
    """The live stage names it by what it read, which was not picked."""
    entry = PickedEntry(b"7-1", b"a\nb", (3, 8))
    assert Trial(b"7-1", 0, 2, killers=(1,)).killer_names(entry) == [b"7-1/8"]
    assert Trial(b"7-1", 0, 3, killers=(2,)).killer_names(Entry(b"7-1", b"a\nb\nc")) == [b"7-1/2"]


def test_urls_are_parted_where_a_new_one_begins() -> None:
    assert parse_urls(", ".join(URLS)) == URLS
    assert parse_urls(f"{URLS[0]},{URLS[1]},\n") == URLS
    assert parse_urls("") == ()
    odd = "postgresql://f:a@b,c%25d@[::1]:5432,%2Frun%2Fpg,two:1/f", "postgresql:///f?host=/run/pg"
    assert parse_urls(",".join(odd)) == odd


@pytest.mark.parametrize(
    "setting",
    [
        *(f"{URLS[0]},mysql://x", "here", f"{URLS[0]},{URLS[0]}", ",".join(URLS[:1] * 70)),
        *(f"{URLS[0]},,{URLS[1]}", f"{URLS[0]}, ,{URLS[1]}", f",{URLS[0]}"),
        # What a client would take for a port, or for an option, and quote.
        *(f"postgresql://f:s3cret{c}x@one/f,{URLS[1]}" for c in "/?#"),
        *(f"postgresql://f:s3cret@one:{port}/f" for port in ("99999", "0", "s3cret", "1,two:-1")),
        *("postgresql://f:s3cret@one;postgresql://two", "postgresql://f:s3cret@[one/f"),
    ],
)
def test_what_is_no_list_of_databases_is_one_line_without_a_password(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URLS", setting)
    with pytest.raises(ConfigError, match="DATABASE_URLS: ") as refused:
        load_settings()
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_first_of_them_is_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DATABASE_URLS", ",".join(URLS))
    found = load_settings()
    assert found.databases == URLS
    assert found.database_url == URLS[0]
    # Not the embedded one.
    assert found.given("database_url")
    # A child is told both.
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings().databases == URLS
    monkeypatch.setenv("DATABASE_URL", URLS[1])
    with pytest.raises(ConfigError, match=r"^DATABASE_URL must be the first of DATABASE_URLS"):
        load_settings()


def test_one_alone_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", URLS[0])
    assert load_settings().databases == URLS[:1]
    assert not load_settings(database_url=URLS[0]).database_urls


@pytest.mark.parametrize("value", ["7d", "5h", "0h", "24", "", "1 d"])
def test_a_chunk_divides_a_day(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^HISTORY_CHUNK: must be one of 1d, 1h"):
        load_settings(history_chunk=value)


def test_a_chunk_is_so_many_hours() -> None:
    assert (load_settings().chunk_hours, load_settings(history_chunk="6h").chunk_hours) == (24, 6)


def test_a_database_refuses_to_be_taken_for_another() -> None:
    first, second = seats(2)
    for wanted, found in [
        (ONLY, None),
        (first, first),
        (second, None),
        (HOME, first),
        (HOME, ONLY),
    ]:
        require_seat(wanted, found)
    for wanted, found in [(ONLY, first), (first, second), (second, Seat(1, 3)), (HOME, second)]:
        with pytest.raises(ConfigError, match=r"database [12] of [1-3]"):
            require_seat(wanted, found)
    with pytest.raises(ConfigError, match="stored as one that is being split into 2"):
        require_seat(second, Seat(-2, 2))


def test_heat_of_several_databases_is_added_up() -> None:
    rows = [(7, 3), (8, 1), (7, 2), (9, 0)]
    assert added_up(rows, 10) == [(7, 5.0), (8, 1.0)]
    assert added_up(rows, 1) == [(7, 5.0)]
    speeds = [(7, 100.0, 10.0), (7, 300.0, 30.0), (8, 5.0, 0.0)]
    [(cell, speed)] = added_up(speeds, 10)
    assert (cell, round(speed, 9)) == (7, 36.0)


@pytest.mark.parametrize(("before", "is_kept"), [(0, False), (1, True), (-2, True)])
def test_a_split_keeps_events_that_were_not_brought_home_yet(before: int, is_kept: bool) -> None:
    """Of two that become four the second lost what it had found and home had not heard of."""
    emptied = not_here(before)
    assert ("events" not in emptied) is is_kept
    assert {*OF_HOME} - {*emptied} <= {"events"}
