"""Which drivers are online, as of which fix each, and which fixes count. Pure.

A fix counts when it moves its driver: its effective time is newer than all before it, and it was
not older than LOCATION_TTL when it arrived. Any other is history: it came late, or again, and
makes nothing happen.

    driver.online   at the first fix of a driver that was not online
    driver.offline  once no fix counted for longer than LOCATION_TTL

A driver that is offline is forgotten: a fix from before that would be too old to count.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from common.event import LocationEvent, effective_time
from common.events.happening import Happening, HappeningType

# Effective time and recorded_at of a driver's newest fix.
SeenAt = tuple[datetime, datetime]

# From a fix's arrival to its entry in the stream: ingest has answered 503 by then. A driver is
# called offline that much later, so that a fix on its way in is not overtaken by the clock.
ARRIVAL_MAX = timedelta(seconds=2)
_NOTHING: Sequence[Happening] = ()


class Presence:
    """The drivers of one shard that are online. `changed` gathers what is to be stored."""

    def __init__(self, ttl: timedelta, newest: dict[str, SeenAt] | None = None) -> None:
        self._ttl = ttl
        self.newest: dict[str, SeenAt] = {} if newest is None else newest
        self.changed: dict[str, SeenAt | None] = {}

    def arrive(self, fix: LocationEvent, found_at: datetime) -> Sequence[Happening] | None:
        """What a fix says of its driver's presence; None when it does not count."""
        seen_at = effective_time(fix)
        oldest = fix.received_at - self._ttl
        if seen_at[0] < oldest:
            return None
        driver_id = fix.driver_id
        known = self.newest.get(driver_id)
        if known is None:
            said: Sequence[Happening] = (_online(fix, found_at),)
        elif seen_at <= known:
            return None
        elif known[0] < oldest:
            # Nobody looked at the clock in between.
            said = (_offline(driver_id, known, found_at), _online(fix, found_at))
        else:
            said = _NOTHING
        self.newest[driver_id] = self.changed[driver_id] = seen_at
        return said

    def leave(self, clock: datetime, found_at: datetime) -> list[Happening]:
        """Drivers that have been silent for too long. `clock`: all fixes that were in the stream
        at that time have been handed to `arrive`.
        """
        oldest = clock - self._ttl - ARRIVAL_MAX
        silent = [driver_id for driver_id, seen_at in self.newest.items() if seen_at[0] < oldest]
        said = [_offline(driver_id, self.newest[driver_id], found_at) for driver_id in silent]
        for driver_id in silent:
            del self.newest[driver_id]
            self.changed[driver_id] = None
        return said


def _online(fix: LocationEvent, found_at: datetime) -> Happening:
    return Happening(
        type=HappeningType.DRIVER_ONLINE,
        driver_id=fix.driver_id,
        at=found_at,
        recorded_at=fix.recorded_at,
        data={"latitude": fix.latitude, "longitude": fix.longitude},
    )


def _offline(driver_id: str, seen_at: SeenAt, found_at: datetime) -> Happening:
    return Happening(
        type=HappeningType.DRIVER_OFFLINE,
        driver_id=driver_id,
        at=found_at,
        recorded_at=seen_at[1],
        data={"last_seen_at": seen_at[0]},
    )
