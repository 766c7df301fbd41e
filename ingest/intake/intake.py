"""The one way in: what POST one, POST many and the phone apps do with a fix.

A resource reads the request and decides who may send it; `Intake` validates and dates what was
sent, charges what cannot be stored to its sender, and adds the rest to the streams.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from common.errors import InvalidUpdate
from common.event import decode_update
from ingest.intake.batch import validate_batch
from ingest.intake.pieces import in_pieces
from ingest.intake.producer import Producer
from ingest.intake.validate import Indexed, Validator, Verdicts

# Bytes of a body without any readable fix that are charged as one refused fix.
BYTES_A_FIX = 1024


class Intake:
    """Takes fixes in; one for a worker. `fixes_max` bounds what one write adds to the streams."""

    def __init__(self, producer: Producer, validator: Validator, fixes_max: int) -> None:
        self._producer = producer
        self._counts = producer.counts
        self._validator = validator
        self.fixes_max = fixes_max
        # Raises `Refused` (429) for a driver that is known to be too fast: to be asked before
        # anything that it sends is looked at.
        self.require_pace = producer.require_pace
        # `Producer.add`: puts fixes, at least one and at most `fixes_max`, into their streams.
        self.add = producer.add
        # `Producer.fixes`: what became of all fixes.
        self.fixes = producer.fixes

    def validate_one(self, driver_id: str, data: bytes) -> tuple[datetime, bytes]:
        """`recorded_at` and the event of the only fix of a body. Raises `InvalidUpdate`."""
        try:
            return self._validator.validate_one(driver_id, decode_update(data))
        except InvalidUpdate:
            self._counts.invalid += 1
            self._producer.charge(driver_id, 1)
            raise

    async def validate_batch(self, body: bytes, sender: str | None) -> Verdicts:
        """What becomes of each fix of a body of many.

        `sender` is the driver whose token came with it, if it is a driver's. Raises
        `InvalidUpdate` when the body is not one.
        """
        verdicts = Verdicts()
        work = validate_batch(body, self.fixes_max, self._validator, verdicts)
        try:
            await in_pieces(work)
        except InvalidUpdate:
            self._counts.invalid += 1
            if sender is not None:
                self._producer.charge(sender, 1 + len(body) // BYTES_A_FIX)
            raise
        self._charge(verdicts, sender)
        return verdicts

    async def validate(self, updates: Sequence[Indexed], sender: str | None) -> Verdicts:
        """What becomes of updates that have been read already, as `validate_batch`."""
        verdicts = Verdicts()
        await in_pieces(self._validator.validate(updates, verdicts))
        self._charge(verdicts, sender)
        return verdicts

    def charge(self, sender: str | None, count: int) -> None:
        """Charge the driver `sender` for `count` fixes that were refused; nobody for None."""
        if sender is not None and count:
            self._producer.charge(sender, count)

    def _charge(self, verdicts: Verdicts, sender: str | None) -> None:
        """Charge rejected fixes to their sender, or to the drivers that a backend names.

        Never to a driver that another driver names: it could be kept from sending that way.
        """
        if verdicts.rejected:
            self._counts.invalid += len(verdicts.rejected)
            for driver_id, count in Counter(
                sender or rejection.driver_id for rejection in verdicts.rejected
            ).items():
                self.charge(driver_id, count)
