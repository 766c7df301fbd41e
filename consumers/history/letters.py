"""Dead letters of what never came as far as the table: undecodable, or deadly. Pure."""

from collections.abc import Iterable

from common.stream.dead_letter import CRASHED, UNDECODABLE, DeadLetter, driver_in
from consumers.stream.entry import DecodedPage, StreamPosition, Undecodable


def letters_of(decoded: DecodedPage) -> list[DeadLetter]:
    """Letters for what was not, or could not be, decoded."""
    letters = [_killer_letter(position, line) for position, line in decoded.skipped]
    letters += map(_undecodable_letter, decoded.undecodable)
    return letters


def in_stream_order(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """Letters of one entry together, by place."""
    # Of places, which are written without zeros in front, the shorter is the smaller.
    return sorted(letters, key=lambda x: (x.stream_id, len(x.entry_id), x.entry_id))


def _killer_letter(position: StreamPosition, payload: bytes) -> DeadLetter:
    error = "the worker died each time it was in its hands"
    return DeadLetter(position.name, payload, driver_in(payload), CRASHED, error)


def _undecodable_letter(bad: Undecodable) -> DeadLetter:
    driver_id, name = driver_in(bad.payload), bad.position.name
    return DeadLetter(name, bad.payload, driver_id, UNDECODABLE, bad.detail, "", 1)
