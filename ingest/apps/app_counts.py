"""What became of the apps' items, by app and reason, added up in Redis over all workers.

Nothing is written on the way of a request: a worker counts in memory and adds its counts to one
hash about once a second. `/health` and `fleetline status` read that hash.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress

import hiredis

from common.errors import Overloaded
from common.keys import APP_COUNTS
from common.log import Repeated, get
from common.processes.background import EXPECTED
from common.redis.nodes import Nodes
from common.stream.backlog import read_total
from ingest.apps.reason import Reason

WRITE_EVERY_S = 1.0

# App -> reason -> how often.
AppTotals = dict[str, dict[str, int]]


class AppCounts:
    """The counts of one worker that are not in Redis yet; each kind is logged once, then seldom."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._unwritten: Counter[str] = Counter()
        # By app and reason, of this process since it began.
        self.totals: Counter[tuple[str, str]] = Counter()
        self._said: dict[str, Repeated] = {}

    def add(self, app: str, counts: Mapping[Reason, int], driver_id: str | None) -> None:
        """Count what became of a request's items; `driver_id` is one of those who sent it."""
        for reason, count in counts.items():
            field = f"{app}:{reason}"
            self._unwritten[field] += count
            self.totals[app, reason.value] += count
            if reason is not Reason.NO_INTEREST:
                said = self._said.get(field)
                if said is None:
                    said = self._said[field] = Repeated(get("ingest"), f"app.{reason}")
                said.failed(app=app, items=count, driver_id=driver_id)

    async def write(self) -> None:
        """Add the counts to Redis. Raises `Overloaded`, `ReplyError`; they are kept for later then.

        A lost reply may count a second's items twice: counts are for people.
        """
        counts, self._unwritten = self._unwritten, Counter()
        if not counts:
            return
        commands = [("HINCRBY", APP_COUNTS, field, count) for field, count in counts.items()]
        try:
            replies = await self._nodes.key_wire(APP_COUNTS).pipeline_raw(commands)
        except Overloaded:
            self._unwritten.update(counts)
            raise
        refusals = [reply for reply in replies if isinstance(reply, hiredis.ReplyError)]
        if refusals:
            self._unwritten.update(counts)
            raise refusals[0]

    async def close(self) -> None:
        """Write what is left, if Redis takes it."""
        with suppress(*EXPECTED):
            await self.write()


async def read_app_counts(nodes: Nodes) -> AppTotals:
    """The counts of all workers; none while Redis refuses to say. Raises `Overloaded`."""
    [reply] = await nodes.key_wire(APP_COUNTS).pipeline_raw([("HGETALL", APP_COUNTS)])
    if isinstance(reply, hiredis.ReplyError):
        return {}
    texts = [part.decode("utf-8", "replace") for part in reply]
    return by_app(zip(texts[::2], texts[1::2], strict=True))


def by_app(fields: Iterable[tuple[str, str]]) -> AppTotals:
    """The fields of the hash, sorted out; what is no count is 0."""
    totals: AppTotals = {}
    for field, count in sorted(fields):
        app, _, reason = field.partition(":")
        totals.setdefault(app, {})[reason] = read_total(count) or 0
    return totals
