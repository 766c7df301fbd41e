"""How many fixes a driver may send now: what this worker knows of it. Pure.

The truth is GCRA in Redis (`rate.lua`), in the same step as the XADD. A script costs Redis three
times an XADD (measured: 13.9 against 4.0 µs), so a driver that may send gets a small lease with
it: the next fixes are plain XADDs. Every fix was charged in Redis before it is taken, so the sum
over all workers is exact; a lease only means that a worker holds up to `LEASE_FIXES` charged and
unspent. A driver that is out of tokens is refused from memory until the next one is due.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from common.errors import Refused

V = TypeVar("V", int, float)

SCRIPT = (Path(__file__).with_name("rate.lua")).read_bytes()
# Fixes charged ahead: the script's cost is spread over 33. More gains nothing that can be measured.
LEASE_FIXES = 32
# A lease is at most this part of the burst, so that nobody can tell; small bursts get none.
LEASE_SHARE = 64
# Drivers with a lease or a refusal that one worker remembers; the rest asks Redis again.
DRIVERS_MAX = 100_000
# A client that waits longer gains nothing: its queue is taken in parts.
RETRY_AFTER_MAX_S = 300


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


class Rates:
    """Leases and refusals of the drivers of one worker."""

    def __init__(self, limit: Limit, *, now: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._now = now
        # Driver -> fixes charged and not spent.
        self._leases: OrderedDict[str, int] = OrderedDict()
        # Driver -> when its next fix is due.
        self._refused: OrderedDict[str, float] = OrderedDict()
        # Driver -> theoretical arrival time in seconds, while Redis cannot say.
        self._local: OrderedDict[str, float] = OrderedDict()

    def spend(self, driver_id: str, count: int = 1) -> int:
        """Fixes of `count` that the driver's lease covers; they are spent."""
        left = self._leases.get(driver_id, 0)
        if left >= count:
            self._leases[driver_id] = left - count
            return count
        if left:
            del self._leases[driver_id]
        return left

    def wait_s(self, driver_id: str) -> float:
        """Seconds until it is worth asking Redis; 0 now."""
        due_at = self._refused.get(driver_id)
        if due_at is None:
            return 0.0
        wait_s = due_at - self._now()
        if wait_s <= 0:
            del self._refused[driver_id]
        return max(0.0, wait_s)

    def known_wait_s(self, driver_id: str) -> float:
        """`wait_s` of a driver that holds no lease either: whether its next fix is refused."""
        if driver_id not in self._refused or self._leases.get(driver_id):
            return 0.0
        return self.wait_s(driver_id)

    def note(self, driver_id: str, *, leased: int, refused_us: float | None) -> None:
        """What Redis said: a lease, or the time until the next fix."""
        if leased:
            _put(self._leases, driver_id, self._leases.get(driver_id, 0) + leased)
        if refused_us is not None:
            _put(self._refused, driver_id, self._now() + refused_us / 1_000_000)

    def take_locally(self, driver_id: str, count: int) -> int:
        """Fixes of `count` to let through by this worker's own count: Redis cannot say now."""
        limit, now = self.limit, self._now()
        arrival = max(now, self._local.get(driver_id, 0.0))
        free = math.floor(limit.burst - (arrival - now) * limit.fixes_per_s + 1e-6)
        taken = max(0, min(count, free))
        if taken:
            _put(self._local, driver_id, arrival + taken / limit.fixes_per_s)
        return taken

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


def retry_after_s(wait_s: float) -> int:
    """Whole seconds for a Retry-After header."""
    return max(1, min(RETRY_AFTER_MAX_S, math.ceil(wait_s)))


def _put(table: OrderedDict[str, V], driver_id: str, value: V) -> None:
    table[driver_id] = value
    if len(table) > DRIVERS_MAX:
        table.popitem(last=False)
