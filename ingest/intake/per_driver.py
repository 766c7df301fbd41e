"""How many fixes a driver may send now: what this worker knows of it. Pure.

The truth is GCRA in Redis (`rate.lua`), in the same step as the XADD. A script costs Redis three
times an XADD (measured: 13.9 against 4.0 µs), so a driver that may send gets a small lease with
it: the next fixes are plain XADDs. Every fix was charged in Redis before it is taken, so the sum
over all workers is exact; a lease only means that a worker holds up to `LEASE_FIXES` charged and
unspent. A driver that is out of tokens is refused from memory until the next one is due.

Fixes that cannot be stored are charged too (`charge`), by this worker's own count: to judge them
costs as much as to store good ones.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from common.errors import Refused
from ingest.intake.pace import RETRY_AFTER_MAX_S, Admitted, Ask, retry_after_s
from ingest.intake.validate import Fix

V = TypeVar("V", int, float)

SCRIPT = (Path(__file__).with_name("rate.lua")).read_bytes()
# Fixes charged ahead: the script's cost is spread over 33. More gains nothing that can be measured.
LEASE_FIXES = 32
# A lease is at most this part of the burst, so that nobody can tell; small bursts get none.
LEASE_SHARE = 64
# Drivers with a lease or a refusal that one worker remembers; the rest asks Redis again.
DRIVERS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Limit:
    """The setting: a sustained rate and a burst."""

    fixes_per_s: float
    burst: int

    @property
    def interval_us(self) -> float:
        """Time that one fix stands for."""
        return 1_000_000 / self.fixes_per_s

    @property
    def lease(self) -> int:
        """Fixes a worker charges ahead."""
        return min(LEASE_FIXES, self.burst // LEASE_SHARE)


class PerDriver:
    """A limit for each driver: its leases and refusals in one worker."""

    def __init__(self, limit: Limit, *, now: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        # Fixes to lease; microseconds between two fixes; the same times the burst.
        interval_us = limit.interval_us
        self.terms: tuple[str | int, ...] = (
            limit.lease,
            f"{interval_us:.3f}",
            f"{limit.burst * interval_us:.3f}",
        )
        self._now = now
        self.turned_away = 0
        # Driver -> fixes charged and not spent.
        self._leases: OrderedDict[str, int] = OrderedDict()
        # Driver -> when its next fix is due.
        self._refused: OrderedDict[str, float] = OrderedDict()
        # Driver -> theoretical arrival time in seconds, while Redis cannot say.
        self._local: OrderedDict[str, float] = OrderedDict()

    def spend(self, driver_id: str) -> bool:
        """Whether the driver's lease covers one more fix; it is spent."""
        left = self._leases.get(driver_id, 0)
        if left:
            self._leases[driver_id] = left - 1
        return left > 0

    def admit(self, fixes: Sequence[Fix], *, whole: bool) -> Admitted:
        """What leases cover is paid, in its order; Redis is asked for the rest of each driver."""
        spend = self.spend
        paid: list[Fix] = []
        unpaid: dict[str, list[int]] = {}
        for index, fix in enumerate(fixes):
            driver_id = fix[0]
            if not whole and driver_id not in unpaid and spend(driver_id):
                paid.append(fix)
            else:
                unpaid.setdefault(driver_id, []).append(index)
        admission = Admitted(paid)
        for driver_id, indexes in unpaid.items():
            if wait_s := self.wait_s(driver_id):
                admission.limited += indexes
                admission.wait_s = max(admission.wait_s, wait_s)
            else:
                events = [fixes[index][1] for index in indexes]
                admission.asks.append(Ask(driver_id, indexes, events))
        return admission

    def note(self, ask: Ask, reply: Sequence[int]) -> tuple[int, float]:
        """Take the lease that the script gave, or remember until when it refuses."""
        added, leased, wait_us = reply[:3]
        missing = len(ask.events) - added
        if leased:
            _put(self._leases, ask.driver_id, self._leases.get(ask.driver_id, 0) + leased)
        if not missing:
            return added, 0.0
        # The script names the time until all would fit; the next one is due earlier.
        self._refuse(ask.driver_id, (wait_us - (missing - 1) * self.limit.interval_us) / 1_000_000)
        return added, wait_us / 1_000_000

    def charge(self, driver_id: str, count: int) -> None:
        """Charge this worker's own account; one that is overdrawn refuses until it is even."""
        limit, now = self.limit, self._now()
        span_s = limit.burst / limit.fixes_per_s
        arrival = max(now, self._local.get(driver_id, 0.0)) + count / limit.fixes_per_s
        arrival = min(arrival, now + span_s + RETRY_AFTER_MAX_S)
        _put(self._local, driver_id, arrival)
        if arrival - now > span_s:
            self._leases.pop(driver_id, None)
            self._refuse(driver_id, arrival - now - span_s)

    def wait_s(self, driver_id: str) -> float:
        """Seconds until it is worth asking Redis; 0 now."""
        due_at = self._refused.get(driver_id)
        if due_at is None:
            return 0.0
        wait_s = due_at - self._now()
        if wait_s <= 0:
            del self._refused[driver_id]
        return max(0.0, wait_s)

    def require(self, driver_id: str) -> None:
        """Raise `Refused` (429) while the driver's next fix is known not to be due."""
        if driver_id in self._refused and not self._leases.get(driver_id):
            wait_s = self.wait_s(driver_id)
            if wait_s:
                self.turned_away += 1
                raise self.too_fast(wait_s)

    def take_locally(self, ask: Ask, *, whole: bool) -> tuple[int, float]:
        """As `note`, by this worker's own account: Redis cannot say now."""
        limit, now, count = self.limit, self._now(), len(ask.events)
        arrival = max(now, self._local.get(ask.driver_id, 0.0))
        free = math.floor(limit.burst - (arrival - now) * limit.fixes_per_s + 1e-6)
        added = max(0, min(count, free))
        if whole and added < count <= limit.burst:
            added = 0
        if added:
            _put(self._local, ask.driver_id, arrival + added / limit.fixes_per_s)
        return added, (count - added) / limit.fixes_per_s

    def too_fast(self, wait_s: float) -> Refused:
        """The refusal of a fix; the headers are those of the IETF's RateLimit draft."""
        limit, after_s = self.limit, retry_after_s(wait_s)
        window_s = math.ceil(limit.burst / limit.fixes_per_s)
        return Refused(
            429,
            f"this driver sends more than {limit.fixes_per_s:g} fixes a second",
            retry_after_s=after_s,
            headers=(
                ("ratelimit-policy", f'"driver";q={limit.burst};w={window_s}'),
                ("ratelimit", f'"driver";r=0;t={after_s}'),
            ),
        )

    def _refuse(self, driver_id: str, wait_s: float) -> None:
        if wait_s > 0:
            _put(self._refused, driver_id, self._now() + wait_s)


def _put(table: OrderedDict[str, V], driver_id: str, value: V) -> None:
    table[driver_id] = value
    if len(table) > DRIVERS_MAX:
        table.popitem(last=False)
