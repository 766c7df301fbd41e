"""A body of many fixes, validated fix by fix. Pure; pauses as `validate.py` says.

Nearly every body is good throughout, so it is first read in one typed pass. Only when that fails
is each fix validated alone, from its own bytes.
"""

from collections.abc import Generator, Iterator
from operator import attrgetter
from typing import Any

import msgspec

from common.errors import Fault, InvalidUpdate
from common.event import MALFORMED, DriverUpdate, has_ids, invalid
from common.ids import is_id
from ingest.intake.validate import Indexed, Validator, Verdicts

# Entries of an answer's `errors`, and rejected fixes of a body whose faults are looked for. To
# say all that is wrong with one fix costs 0.1 ms; without a bound a body of a thousand broken
# fixes cost 0.2 s, and its answer was three times its size.
ERRORS_MAX = 100
# Fixes that are read one by one between two pauses; ten broken ones are about 1 ms.
ITEMS_A_PIECE = 200
BROKEN_A_PIECE = 10

_driver_id = attrgetter("driver_id")
_NOT_LISTED = InvalidUpdate("is not valid")


class _Batch(msgspec.Struct, gc=False):
    locations: list[DriverUpdate]


class _RawBatch(msgspec.Struct, gc=False):
    locations: list[msgspec.Raw]


class _Named(msgspec.Struct, gc=False):
    driver_id: Any = None


_decode_batch = msgspec.json.Decoder(_Batch | list[DriverUpdate]).decode
_decode_raw_batch = msgspec.json.Decoder(_RawBatch | list[msgspec.Raw]).decode
_decode_item = msgspec.json.Decoder(DriverUpdate).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_named = msgspec.json.Decoder(_Named).decode


def validate_batch(
    body: bytes, fixes_max: int, validator: Validator, verdicts: Verdicts
) -> Iterator[None]:
    """Read, validate, date and encode a body into `verdicts`.

    Raises `InvalidUpdate` when the body as a whole is not one: 400 no JSON, 422 not a list of
    1 to `fixes_max` fixes.
    """
    try:
        batch = _decode_batch(body)
    except MALFORMED:
        updates = yield from _decode_each(body, fixes_max, verdicts)
    else:
        good = batch.locations if isinstance(batch, _Batch) else batch
        _require_count(good, fixes_max)
        if all(map(has_ids, good)):
            updates = list(zip(range(len(good)), map(_driver_id, good), good, strict=True))
        else:
            updates = yield from _decode_each(body, fixes_max, verdicts)
    if updates:
        yield from validator.validate(updates, verdicts)


def errors_listed(verdicts: Verdicts) -> list[dict[str, object]]:
    """The faults of rejected fixes as they stand in an answer, by index; ERRORS_MAX at most."""
    listed: list[dict[str, object]] = []
    for rejection in sorted(verdicts.rejected, key=lambda rejection: rejection.index):
        error = rejection.error
        listed += [
            {"index": rejection.index, "field": fault.field, "detail": fault.detail}
            for fault in error.faults or (Fault("", error.detail),)
        ]
        if len(listed) >= ERRORS_MAX:
            break
    return listed[:ERRORS_MAX]


def _decode_each(
    body: bytes, fixes_max: int, verdicts: Verdicts
) -> Generator[None, None, list[Indexed]]:
    try:
        batch = _decode_raw_batch(body)
    except msgspec.ValidationError as e:
        raise InvalidUpdate('the body must be {"locations": [...]} or a list of fixes') from e
    except MALFORMED as e:
        raise InvalidUpdate(f"the body is not JSON: {e}", status=400) from e
    items = batch.locations if isinstance(batch, _RawBatch) else batch
    _require_count(items, fixes_max)
    updates: list[Indexed] = []
    for index, item in enumerate(items):
        update = _decoded(item)
        if update is None:
            explain = len(verdicts.rejected) < ERRORS_MAX
            verdicts.reject(index, *_rejection(item, explain=explain))
            if explain and len(verdicts.rejected) % BROKEN_A_PIECE == 0:
                yield
        else:
            updates.append((index, update.driver_id, update))
        if index % ITEMS_A_PIECE == ITEMS_A_PIECE - 1:
            yield
    return updates


def _decoded(item: msgspec.Raw) -> DriverUpdate | None:
    try:
        update = _decode_item(item)
    except MALFORMED:
        return None
    return update if has_ids(update) else None


def _rejection(item: msgspec.Raw, *, explain: bool) -> tuple[str | None, InvalidUpdate]:
    """The driver that a broken `item` names, and what is wrong with it.

    Raises `InvalidUpdate` for syntax that only shows inside the item: no part of the body is
    JSON then.
    """
    error = invalid(item, DriverUpdate) if explain else _unexplained(item)
    if error.status == 400:
        raise error
    try:
        driver_id = _decode_named(item).driver_id
    except MALFORMED:
        return None, error
    return driver_id if isinstance(driver_id, str) and is_id(driver_id) else None, error


def _unexplained(item: msgspec.Raw) -> InvalidUpdate:
    try:
        _decode_fields(item)
    except msgspec.ValidationError:
        return _NOT_LISTED
    except MALFORMED as e:
        return InvalidUpdate(f"the body is not JSON: {e}", status=400)
    return _NOT_LISTED


def _require_count(items: list[Any], fixes_max: int) -> None:
    if not items:
        raise InvalidUpdate("the body holds no fix")
    if len(items) > fixes_max:
        raise InvalidUpdate(f"the body holds {len(items)} fixes; {fixes_max} at most")
