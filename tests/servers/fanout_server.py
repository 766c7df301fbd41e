"""A fan-out inside the test's event loop, so that its gauges can be seen."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import uvloop

from common.event import LocationUpdate, encode_event
from common.frame import ended_frame
from common.keys import order_ended_key, order_key
from common.processes.background import Crashed, end_process
from common.redis.nodes import Nodes
from common.settings import Settings, load_settings
from fanout.door.policy import Policy
from fanout.listening import listen
from fanout.parts import Fanout
from fanout.serve import running, serve
from fanout.tuning import Tuning
from tests import wait
from tests.clients.opened import opened
from tests.clients.ws import Client, get
from tests.servers import free_port

# Faster than in life where tests would wait.
QUICK = Tuning(probe_interval_s=0.5, linger_s=0.2)
T0 = datetime(2026, 1, 1, 10, 0, 0, tzinfo=UTC)


def in_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine on uvloop; an exception that nobody handled fails the test."""
    unhandled: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: unhandled.append(context)
        )
        await main

    uvloop.run(watched())
    assert unhandled == []


def fanout_settings(redis_url: str, **overrides: Any) -> Settings:
    """Settings for a test, faster than the defaults where tests would wait."""
    quick: dict[str, Any] = {
        "fanout_port": free_port(),
        "drain_timeout_s": 2.0,
        # The tests' events are dated by their number, not by the clock.
        "location_ttl": 1_000_000_000,
        "sockets_per_order_max": 0,
    }
    return load_settings(redis_url=redis_url, **{**quick, **overrides})


@contextlib.asynccontextmanager
async def fanout(
    redis_url: str,
    *,
    policy: Policy | None = None,
    tuning: Tuning = QUICK,
    crashed: Crashed = end_process,
    **overrides: Any,
) -> AsyncIterator[Fanout]:
    """A fan-out that delivers; when the block is left it drains and must leave nothing."""
    settings = fanout_settings(redis_url, **overrides)
    sock = listen(settings, tuning.outbox_bytes_max)
    async with running(settings, sock, policy=policy, tuning=tuning, crashed=crashed) as server:
        await until(lambda: server.probe.delivering)
        yield server
    assert not any(server.gauges().values()), server.gauges()


async def until(check: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait until `check`, which need not be awaited, holds."""

    async def checked() -> object:
        return check()

    await wait.until(checked, timeout_s=timeout_s)


def event(number: int, order_id: str = "o1", driver_id: str = "d1", **update: Any) -> bytes:
    """Event `number`: its latitude and its times grow with the number."""
    when = T0 + timedelta(milliseconds=number)
    fields = {"latitude": 10 + number * 1e-5, "longitude": 20.0, "order_id": order_id, **update}
    return encode_event(driver_id, LocationUpdate(**fields), when, when)


def event_now(order_id: str = "o1", driver_id: str = "d1") -> bytes:
    """An event of this moment."""
    now = datetime.now(UTC)
    return encode_event(driver_id, LocationUpdate(10.0, 20.0, order_id=order_id), now, now)


def number_of(frame: Any) -> int:
    """The number of the event in a decoded frame."""
    assert frame["type"] == "location_update"
    latitude: float = frame["data"]["latitude"]
    return round((latitude - 10) * 1e5)


async def watch_until(client: Client, last: int, seen: list[int]) -> None:
    """Note the numbers a customer is shown, up to `last`."""
    async with asyncio.timeout(15):
        while not seen or seen[-1] != last:
            seen.append(number_of(orjson.loads(await client.text())))


class Publisher:
    """What a consumer does: the snapshot, then the message, in one pipeline."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes

    async def send(self, verb: str, key: str, *more: Any) -> Any:
        """One command about a key; the reply."""
        return await self.nodes.key_wire(key).send(verb, key, *more)

    async def publish(self, channel: str, *payloads: bytes) -> None:
        """Publish on a channel, in order."""
        publish = self.nodes.publish
        wire = self.nodes.key_wire(channel)
        await wire.pipeline([(publish, channel, payload) for payload in payloads])

    async def show(self, number: int, order_id: str = "o1") -> None:
        """Set and publish event `number` of an order."""
        payload = event(number, order_id)
        key = order_key(order_id)
        commands = (("SET", key, payload), (self.nodes.publish, key, payload))
        await self.nodes.key_wire(key).pipeline_raw(commands)

    async def end(self, order_id: str = "o1") -> None:
        """Complete an order."""
        key = order_key(order_id)
        await self.nodes.key_wire(key).pipeline_raw(
            (
                ("SET", order_ended_key(order_id), "1", "EX", 60),
                ("DEL", key),
                (self.nodes.publish, key, ended_frame(order_id)),
            )
        )


@contextlib.asynccontextmanager
async def publishing(redis_url: str) -> AsyncIterator[Publisher]:
    """A publisher for the block."""
    async with opened(redis_url) as nodes:
        yield Publisher(nodes)


@contextlib.asynccontextmanager
async def fanout_process(
    redis_url: str, tuning: Tuning | None = None, **overrides: Any
) -> AsyncIterator[tuple[int, int]]:
    """A fan-out as a process: its pid and port. When the block is left it must exit with 0."""
    main = (
        ["-m", "deploy.cli", "fanout"] if tuning is None else [__file__, json.dumps(asdict(tuning))]
    )
    settings = fanout_settings(redis_url, **overrides)
    env = {name.upper(): str(value) for name, value in settings.model_dump(mode="json").items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *main, env={**os.environ, "PYTHONPATH": str(Path.cwd()), **env}
    )
    try:
        await wait.until(lambda: _ready(process, settings.fanout_port))
        yield process.pid, settings.fanout_port
        process.terminate()
        async with asyncio.timeout(settings.drain_timeout_s + 5):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _ready(process: asyncio.subprocess.Process, port: int) -> bool:
    assert process.returncode is None
    with contextlib.suppress(OSError):
        return (await get(port, "/health/ready"))[0] == 200
    return False


if __name__ == "__main__":
    given = Tuning(**json.loads(sys.argv[1]))
    env_settings = load_settings()
    uvloop.run(serve(env_settings, listen(env_settings, given.outbox_bytes_max), given))
