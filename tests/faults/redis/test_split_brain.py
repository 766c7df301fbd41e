"""A network that splits, and a host that is lost: what was accepted is stored.

The drivers of the struck host speak to an ingest beside its primary. With REPLICATION=auto and
strict they lose nothing and are told 503; with off they lose what is accepted there once the host
is cut off, which shows that there was something to lose.
"""

import asyncio
import contextlib
import itertools
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.caller import Caller
from tests.faults.chaos.evidence import Evidence
from tests.faults.chaos.fixes import Fix
from tests.faults.chaos.journal import Journal, read_journal
from tests.faults.chaos.verdict import Verdict, judge
from tests.faults.redis.site import (
    ELSEWHERE,
    MODES,
    OTHER,
    SHARDS,
    STRUCK,
    WITHIN_S,
    Site,
    new_site,
)
from tests.servers.network import unavailable
from tests.wait import pace, wait_until

# The long variant: so many rounds of each kind, and seconds that the network stays split.
ROUNDS = int(os.environ.get("SPLIT_ROUNDS", "1"))
SPLIT_S = float(os.environ.get("SPLIT_SECONDS", "0"))
GAP_S = float(os.environ.get("SPLIT_GAP_SECONDS", "0.04"))
# Accepted after the cut in vain, until that is enough of a loss to be seen.
LOSS_LEAST = 3


def names(stem: str) -> list[str]:
    """Drivers: two of the struck primary's shard, and one of each of the others."""
    wanted, found = [0, 0, *range(1, len(SHARDS))], []
    for name in (f"{stem}-{n}" for n in itertools.count()):
        if (shard := SHARDS.of(name).index) in wanted:
            wanted.remove(shard)
            found.append(name)
        if not wanted:
            return found
    raise AssertionError


class Drivers:
    """Some drivers at one ingest. Each sends one fix after the other, and none of them twice."""

    def __init__(self, stem: str, port: int, journal: Path) -> None:
        self.stem = stem
        # Nobody's before: tests share the site.
        self.names = names(f"{stem}-{secrets.token_hex(4)}")
        self.journal = journal
        self.statuses: Counter[int] = Counter()
        self.slowest_s = 0.0
        # Accepted so far, of the struck primary's shard.
        self.accepted = 0
        self._port = port
        self._numbers = itertools.count(1)
        self._written = Journal(journal)

    async def run(self, stopping: threading.Event) -> None:
        """Send until `stopping`."""
        await asyncio.gather(*(self._drive(name, stopping) for name in self.names))
        self._written.close()

    async def _drive(self, name: str, stopping: threading.Event) -> None:
        caller, is_struck = Caller(self._port), SHARDS.of(name).index == 0
        while not stopping.is_set():
            now_us = time.time_ns() // 1000
            stamp = datetime.fromtimestamp(now_us / 1e6, UTC)
            fix = Fix(next(self._numbers), name, now_us, "now", stamp.isoformat(), None)
            self._written.sending([fix])
            answer = await caller.post(f"/api/v1/drivers/{name}/location", fix.body())
            status = 0 if answer is None else answer.status
            self.statuses[status] += 1
            if answer is not None:
                self.slowest_s = max(self.slowest_s, answer.took_s)
            if status == 202:
                self._written.accepted([fix])
                self.accepted += is_struck
            else:
                self._written.unknown([fix])
            await pace(GAP_S)
        caller.close()

    def go_on(self) -> None:
        """Wait until more is accepted."""
        before = self.accepted
        wait_until(
            lambda: self.accepted > before + LOSS_LEAST,
            timeout_s=WITHIN_S,
            what=f"fixes to be accepted with {self.stem}",
        )

    def judged(self, found: Evidence) -> Verdict:
        """What became of what they sent."""
        rows = [row for row in found.rows if row.driver in self.names]
        live = {name: row for name, row in found.live.items() if name in self.names}
        kept = Evidence(rows, live, found.dead, found.backlog, found.pending)
        return judge(read_journal(self.journal), kept)


@contextlib.contextmanager
def driving(site: Site, folder: Path) -> Iterator[dict[str, Drivers]]:
    """Drivers at each ingest for the block, by its name; all of them have sent something."""
    crowds = {n: Drivers(n, s.port, folder / f"{n}.journal") for n, s in site.ingests.items()}
    stopping = threading.Event()

    def drive(host: int, crowd: list[Drivers]) -> None:
        async def together() -> None:
            await asyncio.gather(*(drivers.run(stopping) for drivers in crowd))

        with site.network.inside(host):
            asyncio.run(together())

    struck = [crowds[name] for name in MODES]
    threads = [
        threading.Thread(target=drive, args=args)
        for args in ((STRUCK, struck), (OTHER, [crowds[ELSEWHERE]]))
    ]
    for thread in threads:
        thread.start()
    try:
        for drivers in crowds.values():
            drivers.go_on()
        yield crowds
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def site(postgres_session, tmp_path_factory) -> Iterator[Site]:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    database = postgres_session.create_database()
    try:
        with new_site(tmp_path_factory.mktemp("site"), postgres_session.url(database)) as running:
            yield running
    finally:
        postgres_session.drop_database(database)


def assert_kept(crowds: Mapping[str, Drivers], found: Evidence) -> None:
    """Nothing that was accepted is missing, but with REPLICATION=off."""
    for name, drivers in crowds.items():
        verdict = drivers.judged(found)
        print(f"{name}: {verdict.accepted} accepted, {verdict.counts['lost']} lost, ", end="")
        print(f"{dict(drivers.statuses)}, slowest {drivers.slowest_s:.2f} s")
        if name == "off":
            assert verdict.counts["lost"] >= LOSS_LEAST
            assert verdict.violations.keys() <= {"lost", "live is not the newest"}
        else:
            assert verdict.violations == {}


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_network_that_splits(site: Site, tmp_path: Path, number: int) -> None:
    site.make_whole()
    with driving(site, tmp_path) as crowds:
        site.network.cut(STRUCK)
        crowds["off"].go_on()
        wait_until(lambda: site.replica.is_primary, timeout_s=WITHIN_S, what="another primary")
        crowds[ELSEWHERE].go_on()
        until_s = time.monotonic() + SPLIT_S
        wait_until(lambda: time.monotonic() >= until_s, timeout_s=SPLIT_S + 1)
        site.network.heal(STRUCK)
        site.await_whole()
        for drivers in crowds.values():
            drivers.go_on()
    found = site.evidence()
    for drivers in crowds.values():
        # Each was answered, and in time for a client that waits.
        assert drivers.statuses.keys() <= {202, 503}
        assert drivers.slowest_s < 5
    assert_kept(crowds, found)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_host_that_is_lost(site: Site, tmp_path: Path, number: int) -> None:
    """Cut off first, as a rack that loses its switch: what it accepts until it dies is at stake."""
    site.make_whole()
    with driving(site, tmp_path) as crowds:
        site.network.cut(STRUCK)
        crowds["off"].go_on()
        site.network.kill(STRUCK)
        wait_until(lambda: site.replica.is_primary, timeout_s=WITHIN_S, what="another primary")
        crowds[ELSEWHERE].go_on()
        # It comes back with its disk, on which is what nobody else has.
        site.network.heal(STRUCK)
        site.restart(STRUCK)
        site.await_whole()
        crowds[ELSEWHERE].go_on()
    found = site.evidence()
    # Of the host that died nobody was answered any more.
    assert all(drivers.statuses.keys() <= {0, 202, 503} for drivers in crowds.values())
    assert crowds[ELSEWHERE].statuses.keys() <= {202, 503}
    assert_kept(crowds, found)
