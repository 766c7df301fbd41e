"""A fan-out with a bug in a task: `python -m tests.servers.fanout_broken TASK`, settings by env.

Prints `up`, then breaks what the task does next. The process is expected to end by itself.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import uvloop

from common.redis.wire import Link
from common.settings import load_settings
from fanout.fleet.box import BoxState
from fanout.listening import listen
from fanout.parts import Fanout
from fanout.serve import running
from tests.clients.ws import ORDER_PATH, connect
from tests.servers.fanout_server import QUICK, until


def broken(*args: Any, **kwargs: Any) -> Any:
    """Stands where something worked."""
    raise RuntimeError("a bug")


def set_broken(owner: object, name: str) -> None:
    """Put `broken` in place of a method."""
    setattr(owner, name, broken)


# What is broken, by the name that the log says.
TASKS: dict[str, Callable[[Fanout], None]] = {
    "wheel": lambda server: set_broken(server.sessions, "tick"),
    "tokens": lambda server: set_broken(server.with_token, "sweep"),
    "probe": lambda server: set_broken(server.nodes.wires[0], "send"),
    "feed": lambda server: set_broken(BoxState, "take"),
    "access": lambda server: set_broken(server.watch, "poll"),
    "wire": lambda server: set_broken(Link, "watch"),
    # The tasks inside of "subscriptions".
    "release": lambda server: set_broken(server.subscriptions.hub, "idle_since"),
    "postpone": lambda server: set_broken(server.subscriptions.hub, "postpone_unread"),
    "join": lambda server: set_broken(server.subscriptions.bridge, "subscribe"),
}
FLEET = "/api/v1/fleet/live?bbox=-1,-1,1,1"


async def main(task: str, headers: dict[str, str]) -> None:
    """Serve until it ends."""
    settings = load_settings()
    async with running(settings, listen(settings, QUICK.outbox_bytes_max), tuning=QUICK) as server:
        await until(lambda: server.probe.delivering)
        print("up", flush=True)
        TASKS[task](server)
        if task in {"feed", "join"}:
            path = FLEET if task == "feed" else ORDER_PATH.format("o1")
            client = await connect(settings.fanout_port, path, headers=headers)
            await client.closed(timeout_s=60)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], {"Authorization": sys.argv[2]}))
