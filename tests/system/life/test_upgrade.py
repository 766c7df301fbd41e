"""Roles of the last release beside those of this one: whichever comes first, no fix is lost.

docs/operate.md says in which order they are replaced.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from common.keys import order_ended_key, shard_keys
from common.processes.process import set_parent_death_signal
from tests.servers import RedisServer, free_port
from tests.stack import environment, fleetline
from tests.wait import wait_until

HERE = Path(__file__).parents[3]
ARCHIVE = HERE / "tests/releases/5825396.tar.xz"
SHARDS = 2
BODY_FIXES = 20
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last release, unpacked."""
    folder = tmp_path_factory.mktemp("last")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


class Upgrade:
    """Two releases on the same stores."""

    def __init__(self, settings: dict[str, str], last: Path, redis: RedisServer) -> None:
        self.settings = settings
        self._last = last
        self.redis = redis
        self._bodies = 0
        self.accepted: set[tuple[str, datetime]] = set()

    @contextmanager
    def role(self, name: str, *, new: bool) -> Iterator[subprocess.Popen[bytes]]:
        """A role of either release for the block; it is stopped in order."""
        root = HERE if new else self._last
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        module = ("deploy.cli", name) if new else (name,)
        process = subprocess.Popen(
            (sys.executable, "-m", *module),
            cwd=root,
            env={**kept, **self.settings, "PYTHONPATH": str(root)},
            preexec_fn=lambda: set_parent_death_signal(signal.SIGTERM),
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=20)

    @contextmanager
    def ingest(self, *, new: bool) -> Iterator[str]:
        """Ingest of either release; where it is, once it takes fixes."""
        port = free_port()
        self.settings["INGEST_PORT"] = str(port)
        url = f"http://127.0.0.1:{port}"
        with self.role("ingest", new=new):
            wait_until(lambda: self._takes(url), timeout_s=20, what="ingest")
            yield url

    def _takes(self, url: str) -> bool:
        try:
            return httpx.get(f"{url}/health", timeout=1).json()["status"] in {"ok", "degraded"}
        except httpx.TransportError:
            return False

    def send(self, url: str, bodies: int) -> None:
        """Send bodies of many; what was accepted is noted."""
        with httpx.Client(base_url=url, timeout=5) as api:
            for _ in range(bodies):
                when = START + timedelta(seconds=self._bodies)
                self._bodies += 1
                drivers = [f"upgrade-{n}" for n in range(BODY_FIXES)]
                fixes = [
                    {
                        "driver_id": driver,
                        "latitude": 53.4,
                        "longitude": -2.9,
                        "recorded_at": when.isoformat(),
                    }
                    for driver in drivers
                ]
                answer = api.post("/api/v1/drivers/locations", json={"locations": fixes})
                assert answer.status_code == 202
                self.accepted |= {(driver, when) for driver in drivers}

    def rows(self) -> list[tuple[str, datetime]]:
        """What is stored."""

        async def read() -> list[Any]:
            connection = await asyncpg.connect(self.settings["DATABASE_URL"], timeout=5)
            try:
                return await connection.fetch("SELECT driver_id, recorded_at FROM locations")
            finally:
                await connection.close()

        return [tuple(row) for row in asyncio.run(read())]

    def await_rows(self) -> None:
        """Wait until all that was accepted is stored; each is, once."""
        wait_until(lambda: len(self.rows()) >= len(self.accepted), timeout_s=20, what="the rows")
        rows = self.rows()
        assert (len(rows), set(rows)) == (len(self.accepted), self.accepted)

    def dead(self) -> int:
        """Dead letters."""
        keys = [shard_keys("driver-locations", shard, SHARDS).dead for shard in range(SHARDS)]
        return sum(int(self.redis.command("XLEN", key)[1:]) for key in keys)


@pytest.fixture
def upgrade(one_server: RedisServer, database_url: str, last: Path, tmp_path: Path) -> Upgrade:
    """Empty stores; `fleetline migrate` of this release came first."""
    settings = {
        "REDIS_URL": one_server.url,
        "DATABASE_URL": database_url,
        "SHARDS": str(SHARDS),
        "FLEETLINE_HOME": str(tmp_path / "home"),
        "LOG_LEVEL": "error",
    }
    return Upgrade(settings, last, one_server)


def test_consumers_first_and_ingest_after_them(upgrade: Upgrade) -> None:
    with upgrade.ingest(new=False) as old_url:
        with upgrade.role("consumers", new=False):
            upgrade.send(old_url, 5)
            upgrade.await_rows()
        # Nobody stores now; the new ones find what waits.
        upgrade.send(old_url, 5)
        with upgrade.role("consumers", new=True):
            upgrade.send(old_url, 5)
            with upgrade.ingest(new=True) as new_url:
                upgrade.send(new_url, 5)
                upgrade.send(old_url, 5)
                upgrade.send(new_url, 5)
                upgrade.await_rows()
                wait_until(lambda: nothing_waits(new_url), what="nothing to wait")
        # The old ingest marks the end of an order by its old name.
        ended = httpx.post(f"{old_url}/api/v1/orders/o1/complete", json={})
        assert ended.status_code < 300
    assert upgrade.dead() == 0
    done = fleetline("migrate", extra=upgrade.settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert upgrade.redis.command("EXISTS", order_ended_key("o1")) == b":1\r\n"


def nothing_waits(url: str) -> bool:
    found = httpx.get(f"{url}/health", timeout=5).json()
    return found["pending_messages"] == 0 and all(s["backlog"] == 0 for s in found["shards"])


def test_the_wrong_way_round_nothing_is_lost_either(upgrade: Upgrade) -> None:
    """What a new ingest accepts waits for new consumers: old ones do not know where it is."""
    with ExitStack() as old:
        old.enter_context(upgrade.role("consumers", new=False))
        with upgrade.ingest(new=False) as old_url:
            upgrade.send(old_url, 2)
            upgrade.await_rows()
        with upgrade.ingest(new=True) as new_url:
            upgrade.send(new_url, 5)
            old.close()
            with upgrade.role("consumers", new=True):
                upgrade.await_rows()
                wait_until(lambda: nothing_waits(new_url), what="nothing to wait")
    assert upgrade.dead() == 0


def test_shards_change_while_an_old_ingest_runs(upgrade: Upgrade) -> None:
    """What broke: what it accepted before it saw the change stayed under the old names for ever."""
    with upgrade.ingest(new=False) as old_url, upgrade.role("consumers", new=True):
        upgrade.send(old_url, 3)
        upgrade.await_rows()
        change = subprocess.Popen(
            (sys.executable, "-m", "deploy.cli", "reshard", "--shards", "5"),
            env=environment(upgrade.settings),
        )
        # It knows nothing of layouts, and refuses all once the number is another.
        with pytest.raises(AssertionError):
            upgrade.send(old_url, 1_000_000)
        assert change.wait(60) == 0
        with upgrade.ingest(new=True) as new_url:
            upgrade.send(new_url, 3)
            wait_until(lambda: set(upgrade.rows()) >= upgrade.accepted, timeout_s=20, what="rows")
        rows = upgrade.rows()
        assert len(rows) == len(set(rows))
    for shard in range(SHARDS):
        assert upgrade.redis.command("XLEN", f"driver-locations:{{{shard}}}") == b":0\r\n"
    assert upgrade.dead() == 0
