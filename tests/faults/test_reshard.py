"""The number of shards changes under load: nothing is lost, doubled, or moved back.

`RESHARD_FIXES_PER_S=2000 RESHARD_LIVE_GAP_S=5` is the rate and the pause that are promised, for a
machine that does nothing else.
"""

import time
from collections.abc import Iterator

import psutil
import pytest

from common.keys import HOSTS, META
from common.layout import Layout
from common.shards import Shards
from deploy.tools.stack_shards import stack_layouts, stack_shards
from tests.freezing import family, frozen
from tests.roles.hosts import Hosts, hosts_of
from tests.roles.resharding import (
    FIXES_PER_S,
    Fleet,
    driving,
    killed_at,
    layout,
    reshard,
    resharded,
)
from tests.roles.shard import worker_settings
from tests.servers.ingest_server import ingest
from tests.servers.postgres import PostgresServer
from tests.servers.redis_cluster import RedisClusterServers
from tests.wait import wait_until

# Positions of before are read for so long.
LOCATION_TTL_S = 4
# One Redis, and a cluster; what is quick is tried on the latter alone.
BOTH = ["redis_server", "cluster"]
STORED_S = 40.0


@pytest.fixture
def hosts(request: pytest.FixtureRequest, database_url: str) -> Iterator[Hosts]:
    """Hosts on the Redis of a fixture's name."""
    server = request.getfixturevalue(request.param)
    settings = worker_settings(server.url, database_url, shards=4, location_ttl=LOCATION_TTL_S)
    with hosts_of(settings, LOCATION_TTL=str(LOCATION_TTL_S)) as running:
        yield running


def ingest_settings(hosts: Hosts) -> dict[str, str]:
    return {
        "REDIS_URL": hosts.settings.redis_url,
        "SHARDS": "4",
        "LOCATION_TTL": str(LOCATION_TTL_S),
        "RATE_FIXES_PER_S": "0",
    }


def drives_on(fleet: Fleet, rounds: int = 10) -> None:
    before = fleet.accepted
    wait_until(lambda: fleet.accepted >= before + rounds, timeout_s=30, what="fixes accepted")


@pytest.mark.parametrize("hosts", BOTH if FIXES_PER_S > 400 else ["cluster"], indirect=True)
def test_shards_become_more_and_fewer_whatever_is_killed_meanwhile(hosts: Hosts) -> None:
    host = hosts.start()
    with (
        ingest(**ingest_settings(hosts)) as api,
        ingest(**ingest_settings(hosts)) as other,
        driving(api.url, other.url) as fleet,
    ):
        drives_on(fleet)
        # Wherever the command is killed, it goes on there.
        for stage in ("workers for 16", "fixes go to 16"):
            killed_at(hosts, stage, "--shards", "16")
        # One that has seen the switch, or not yet.
        api.process.children()[0].kill()
        status, said = resharded(hosts, "--shards", "16")
        assert (status, said.splitlines()[-1]) == (0, "there are 16 shards, and no others")
        assert layout(hosts) == Layout(16, 2)
        drives_on(fleet)
        # An ingest stands still while the change is made, and so does who shares the shards.
        with reshard(hosts, "--shards", "8") as command:
            wait_until(lambda: stack_layouts(hosts.redis, hosts.settings).coming, what="announced")
            with frozen(*family(other.process.pid)):
                wait_until(lambda: layout(hosts) == Layout(8, 3), timeout_s=30, what="the switch")
                forked(host.family())[0].kill()
                wait_until(lambda: all_closed(hosts), timeout_s=30, what="old streams are closed")
            drives_on(fleet)
            said, _ = command.communicate(timeout=60)
        assert command.returncode == 0
        assert said.splitlines()[-1] == "there are 8 shards, and no others"
        drives_on(fleet)
        # What runs by now needs nothing of before.
        for process in forked(host.family()):
            process.kill()
        drives_on(fleet)
        fleet.stopping.set()
        wait_until(hosts.stored, timeout_s=STORED_S, what="all is stored")
    fleet.judge(hosts.settings.database_url)
    print(fleet.report())
    nothing_is_left(hosts)


def all_closed(hosts: Hosts) -> bool:
    shards = stack_shards(hosts.redis, hosts.settings)
    return all(hosts.redis.exists(shard.keys.closed) for shard in shards.older or ())


def forked(family: list[psutil.Process]) -> list[psutil.Process]:
    """The share agent and the workers, in the order of their beginning: they have the command line
    of who forked them.
    """
    alike = [p for p in family if "consumers.fork_server" in " ".join(p.cmdline())]
    return sorted(alike, key=lambda process: process.create_time())[1:]


def nothing_is_left(hosts: Hosts) -> None:
    """Of the layouts that are gone nothing but closed, empty streams, for a while."""
    for gone in (Layout(4), Layout(16, 2)):
        for shard in Shards(hosts.settings.stream_name, *gone):
            keys = shard.keys
            for key in (keys.live, keys.geo, keys.seen, keys.dead, keys.cursor, keys.fence,
                        keys.counts, keys.consumer):  # fmt: skip
                assert not hosts.redis.exists(key), key
            assert hosts.redis.xlen(keys.stream) == 0
            assert 0 < hosts.redis.ttl(keys.closed) <= 7 * 86_400


@pytest.mark.parametrize("hosts", ["redis_server"], indirect=True)
def test_the_database_may_be_away_meanwhile(hosts: Hosts, postgres_session: PostgresServer) -> None:
    hosts.start(DATABASE_TIMEOUT_S="3")
    with ingest(**ingest_settings(hosts)) as api, driving(api.url) as fleet:
        drives_on(fleet)
        postgres_session.stop()
        is_away = True
        try:
            with reshard(hosts, "--shards", "16") as command:
                assert command.stdout is not None
                for line in command.stdout:
                    if line.startswith("all is shown"):
                        break
                # Live goes on, in the new shards.
                drives_on(fleet, 40)
                assert command.poll() is None
                postgres_session.start()
                is_away = False
                said = command.stdout.read()
                assert said.splitlines()[-1] == "there are 16 shards, and no others"
        finally:
            if is_away:
                postgres_session.start()
        fleet.stopping.set()
        wait_until(hosts.stored, timeout_s=STORED_S, what="all is stored")
    fleet.judge(hosts.settings.database_url)
    print(fleet.report())


@pytest.mark.parametrize("hosts", ["cluster"], indirect=True)
def test_a_primary_is_killed_at_the_switch(hosts: Hosts, cluster: RedisClusterServers) -> None:
    """The one that says where a change stands: the command waits for its replica."""
    hosts.start()
    with ingest(**ingest_settings(hosts)) as api, driving(api.url) as fleet:
        drives_on(fleet)
        with reshard(hosts, "--shards", "8") as command:
            assert command.stdout is not None
            for line in command.stdout:
                if line.startswith("fixes go to"):
                    cluster.owner(META).kill()
                    break
            said, _ = command.communicate(timeout=90)
        assert (command.returncode, "there are 8 shards, and no others" in said) == (0, True)
        cluster.whole()
        drives_on(fleet)
        fleet.stopping.set()
        wait_until(hosts.stored, timeout_s=STORED_S, what="all is stored")
    fleet.judge(hosts.settings.database_url)


@pytest.mark.parametrize("hosts", ["redis_server"], indirect=True)
def test_a_change_is_taken_back_before_it_is_made(hosts: Hosts) -> None:
    hosts.redis.hset(META, "shards", 4)
    status, said = resharded(hosts, "--shards", "8")
    assert (status, "no host runs consumers: nothing was begun" in said) == (1, True)
    # One says that it lives, and gives the new shards no workers.
    hosts.redis.zadd(HOSTS, {"idle": (time.time() + 600) * 1000})
    with reshard(hosts, "--shards", "8") as begun:
        wait_until(lambda: stack_layouts(hosts.redis, hosts.settings).coming == Layout(8, 2))
        # Only one at a time.
        status, said = resharded(hosts, "--shards", "8")
        assert (status, f"pid {begun.pid} " in said, "is at it" in said) == (1, True, True)
        begun.kill()
    status, said = resharded(hosts, "--shards", "5")
    assert (status, "a change to 8 shards is under way" in said) == (1, True)
    assert resharded(hosts, "--abort") == (0, "taken back: there are 4 shards\n")
    assert stack_layouts(hosts.redis, hosts.settings) == (Layout(4), None, None)
    assert resharded(hosts, "--abort") == (0, "no change is under way\n")
    # No number of a layout is used twice: who slept would take one for the other.
    killed_at(hosts, "workers for 5", "--shards", "5")
    assert stack_layouts(hosts.redis, hosts.settings).coming == Layout(5, 3)
    # Somebody takes it back while it waits.
    with reshard(hosts, "--shards", "5") as waiting:
        assert waiting.stdout is not None
        waiting.stdout.readline()
        assert resharded(hosts, "--abort")[0] == 0
        said, _ = waiting.communicate(timeout=30)
    assert (waiting.returncode, said) == (1, "fleetline: somebody else took the change back\n")
