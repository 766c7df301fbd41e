"""What was learned about the pace, read from the table `pace_fits` and remembered.

It changes once an hour. Whoever asks never waits long and never fails: without the database the
last known answers, and before there was any the straight line.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import asyncpg
import msgspec

from common.contract import Vehicle
from common.errors import Overloaded
from common.event import MALFORMED
from common.log import Repeated, get
from common.roads.pace import Pace, PaceFit

# How long what was read is taken for true; and after it could not be read, how long until the next
# try: a database that hangs costs one question so often.
REMEMBER_S = 60.0
READ_TIMEOUT_S = 1.0
# The fit of all trips, of vehicles whatever; that of a kind stands under its name.
EVERY: Final = ""
# Trips of one kind of vehicle below which those of all kinds say more.
OWN_TRIPS_MIN = 30

READ = "SELECT vehicle, fit FROM pace_fits"
TROUBLE = (
    *(Overloaded, OSError, TimeoutError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)

# Gives the rows of a question; raises `TROUBLE`.
Read = Callable[[str], Awaitable[Any]]

_decode = msgspec.json.Decoder(PaceFit).decode


class PaceStore:
    """A source of paces for `common.roads.travel`."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._fits: Mapping[str, PaceFit] = {}
        self._due_s = 0.0
        self._trouble = Repeated(get("roads"), "pace.unread")

    async def pace(self, vehicle: Vehicle | None = "car") -> Pace:
        """What is known now of this kind of vehicle."""
        if time.monotonic() >= self._due_s:
            await self._refresh()
        return pace_in(self._fits, vehicle)

    async def _refresh(self) -> None:
        # Others that ask meanwhile are answered by what is known.
        self._due_s = time.monotonic() + REMEMBER_S
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                rows = await self._read(READ)
        except TROUBLE as e:
            self._trouble.failed(error=str(e) or type(e).__name__)
            return
        self._trouble.healed()
        self._fits = {row["vehicle"]: fit for row in rows if (fit := _fit(row["fit"])) is not None}

    def forget(self) -> None:
        """Something was learned: it is read again when it is needed next."""
        self._due_s = 0.0


def pace_in(fits: Mapping[str, PaceFit], vehicle: str | None) -> Pace:
    """The pace of a kind of vehicle: of its own trips where there are enough, else of all."""
    own, every = fits.get(vehicle or EVERY), fits.get(EVERY)
    if own is not None and (every is None or own.trips >= OWN_TRIPS_MIN):
        return Pace(own, vehicle)
    return Pace(every, vehicle)


def _fit(value: str) -> PaceFit | None:
    """None for what is no fit of this release."""
    try:
        return _decode(value)
    except MALFORMED:
        return None
