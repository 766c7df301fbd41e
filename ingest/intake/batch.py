"""A body of many fixes, judged fix by fix. Pure.

Nearly every body is good throughout, so it is first read in one typed pass. Only when that fails
is each fix judged alone, from its own bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from common.errors import InvalidUpdate
from common.event import (
    MALFORMED,
    MICROSECOND,
    Clock,
    DriverUpdate,
    TimeLimits,
    encode_event,
    invalid,
    recorded_time,
)


class _Batch(msgspec.Struct, gc=False):
    locations: list[DriverUpdate]


class _RawBatch(msgspec.Struct, gc=False):
    locations: list[msgspec.Raw]


_decode_batch = msgspec.json.Decoder(_Batch | list[DriverUpdate]).decode
_decode_raw_batch = msgspec.json.Decoder(_RawBatch | list[msgspec.Raw]).decode
_decode_item = msgspec.json.Decoder(DriverUpdate).decode

Indexed = list[tuple[int, DriverUpdate]]


@dataclass(slots=True)
class Judged:
    """What became of a body: (driver id, event) pairs to store, and the faults of the others."""

    events: list[tuple[str, bytes]] = field(default_factory=list)
    rejected: int = 0
    errors: list[dict[str, object]] = field(default_factory=list)

    def reject(self, index: int, error: InvalidUpdate) -> None:
        """Note the fix at `index` as refused, with each of its fields at fault."""
        self.rejected += 1
        if not error.faults:
            self.errors.append({"index": index, "field": "", "detail": error.detail})
        for fault in error.faults:
            self.errors.append({"index": index, "field": fault.field, "detail": fault.detail})

    def reject_surplus(self, places: Sequence[int], retry_after_s: int) -> None:
        """Note the events at `places` as refused for their drivers' rate."""
        refused = {error["index"] for error in self.errors}
        total = len(self.events) + self.rejected
        # Every item is either among the events, in its order, or among the refused.
        indexes = [index for index in range(total) if index not in refused]
        detail = f"too fast for this driver; try again in {retry_after_s} s"
        for place in places:
            self.errors.append({"index": indexes[place], "field": "rate", "detail": detail})
        self.rejected += len(places)
        self.errors.sort(key=lambda error: error["index"])  # type: ignore[arg-type,return-value]


def judge(body: bytes, fixes_max: int, clock: Clock, limits: TimeLimits) -> Judged:
    """Read, validate, date and encode a body.

    Raises `InvalidUpdate` when the body as a whole is not one: 400 no JSON, 422 not a list of
    1 to `fixes_max` fixes.
    """
    judged = Judged()
    updates = _decode(body, fixes_max, judged)
    if not updates:
        return judged
    # Fixes without a time are dated a microsecond apart, and all of them arrive with the last:
    # none lies in the future, so the last one wins.
    count = len(updates)
    first = clock.take(count)
    received_at = first + (count - 1) * MICROSECOND
    for position, (index, update) in enumerate(updates):
        if update.recorded_at is None:
            recorded_at = first + position * MICROSECOND
        else:
            try:
                recorded_at = recorded_time(update.recorded_at, received_at, limits)
            except InvalidUpdate as e:
                judged.reject(index, e)
                continue
        event = encode_event(update.driver_id, update, recorded_at, received_at)
        judged.events.append((update.driver_id, event))
    judged.errors.sort(key=lambda error: error["index"])  # type: ignore[arg-type,return-value]
    return judged


def _decode(body: bytes, fixes_max: int, judged: Judged) -> Indexed:
    try:
        batch = _decode_batch(body)
    except MALFORMED:
        return _decode_each(body, fixes_max, judged)
    updates = batch.locations if isinstance(batch, _Batch) else batch
    _require_count(updates, fixes_max)
    return list(enumerate(updates))


def _decode_each(body: bytes, fixes_max: int, judged: Judged) -> Indexed:
    try:
        batch = _decode_raw_batch(body)
    except msgspec.ValidationError as e:
        raise InvalidUpdate('the body must be {"locations": [...]} or a list of fixes') from e
    except MALFORMED as e:
        raise InvalidUpdate(f"the body is not JSON: {e}", status=400) from e
    items = batch.locations if isinstance(batch, _RawBatch) else batch
    _require_count(items, fixes_max)
    updates = []
    for index, item in enumerate(items):
        try:
            updates.append((index, _decode_item(item)))
        except MALFORMED:
            judged.reject(index, _of_item(item))
    return updates


def _of_item(item: msgspec.Raw) -> InvalidUpdate:
    error = invalid(item, DriverUpdate)
    if error.status == 400:
        # Syntax that only shows inside the item makes the whole body not JSON.
        raise error
    return error


def _require_count(items: list[Any], fixes_max: int) -> None:
    if not items:
        raise InvalidUpdate("the body holds no fix")
    if len(items) > fixes_max:
        raise InvalidUpdate(f"the body holds {len(items)} fixes; {fixes_max} at most")
