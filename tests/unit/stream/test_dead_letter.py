"""The dead letter's one declaration: what is written is what is read, both ways."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from common.stream.dead_letter import (
    DRIVER_CHARS_MAX,
    ERROR_CHARS_MAX,
    FIELD_NAMES,
    REASONS,
    DeadLetter,
    read_dead_letter,
)

NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
# What UTF-8 can carry; a database's error may hold anything of it.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3000)


def as_redis_has_it(letter: DeadLetter) -> dict[bytes, bytes]:
    parts = letter.fields()
    raw = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return dict(zip(raw[::2], raw[1::2], strict=True))


@given(
    st.builds(
        DeadLetter,
        entry_id=st.integers(0, 2**41).map(lambda ms: b"%d-7" % ms),
        payload=st.binary(max_size=200),
        driver_id=TEXT,
        reason=st.sampled_from(REASONS),
        error=TEXT,
        sqlstate=st.text("0123456789P", max_size=5),
        attempts=st.integers(0, 99),
    ),
    st.integers(0, 999),
)
def test_what_is_written_is_what_is_read(letter: DeadLetter, shard: int) -> None:
    written = letter.stamped(shard, NOW)
    assert read_dead_letter(as_redis_has_it(written)) == written
    assert (written.shard, written.failed_at) == (shard, "2026-01-01T10:00:00+00:00")
    assert written.payload == letter.payload
    assert written.driver_id == letter.driver_id[:DRIVER_CHARS_MAX]
    assert written.error == letter.error[:ERROR_CHARS_MAX]


def test_the_names_in_redis_stay() -> None:
    """Letters lie for weeks: a name that changes loses what older versions wrote."""
    assert set(FIELD_NAMES) == {
        "id", "shard", "driver_id", "payload", "reason", "error", "sqlstate", "attempts",
        "first_seen", "failed_at", "version",
    }  # fmt: skip


@given(st.dictionaries(st.sampled_from([n.encode() for n in FIELD_NAMES]), st.binary(max_size=30)))
def test_a_letter_of_another_version_is_read(fields: dict[bytes, bytes]) -> None:
    letter = read_dead_letter(fields)
    assert letter.payload == fields.get(b"payload", b"")
    assert letter.attempts >= 0
