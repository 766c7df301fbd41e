"""No command, and no transaction, holds keys of two slots of a cluster: all that a stack sends."""

import asyncio
import re
import threading
from collections.abc import Sequence
from functools import partial

import redis
from redis.exceptions import ConnectionError as Disconnected

from common.slots import slot_of
from tests.clients.ws import watching
from tests.stack import Stack
from tests.wait import wait_until

Command = tuple[bytes, ...]
FIX = {"latitude": 53.4, "longitude": -2.9}
ORDER = "one-slot"
# Of fixes that come, move drivers, are stored, trimmed, expired, watched and asked for.
EXPECTED = {
    *(b"EVAL", b"EVALSHA", b"XREAD", b"XREADGROUP", b"XTRIM", b"SET", b"PUBLISH", b"GET"),
    *(b"GEOADD", b"HSET", b"ZADD", b"HMGET", b"GEOSEARCH", b"HGETALL", b"XINFO", b"XRANGE"),
}
# `time [db address] "NAME" "argument" …`, with escapes as in C.
LINE = re.compile(r"^\S+ \[\d+ (\S+)\] (.*)$", re.DOTALL)
ARGUMENT = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


class Overheard:
    """What clients send to a Redis, without what its own scripts do."""

    def __init__(self, url: str) -> None:
        self.commands: set[Command] = set()
        # What one client sent between MULTI and EXEC.
        self.transactions: set[tuple[Command, ...]] = set()
        self._open: dict[str, list[Command]] = {}
        self._client = redis.Redis.from_url(url)
        self._monitor = self._client.monitor()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> "Overheard":
        self._monitor.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._monitor.connection.disconnect()
        self._thread.join(10)
        self._client.close()

    def _listen(self) -> None:
        connection = self._monitor.connection
        try:
            while True:
                line = connection.read_response()
                self._note(line.decode() if isinstance(line, bytes) else line)
        except (Disconnected, OSError, ValueError, AttributeError):
            return

    def _note(self, line: str) -> None:
        found = LINE.match(line)
        assert found is not None, line
        client, text = found.groups()
        if client == "lua":
            return
        words = tuple(
            word.encode().decode("unicode_escape").encode("latin-1")
            for word in ARGUMENT.findall(text)
        )
        command = (words[0].upper(), *words[1:])
        self.commands.add(command)
        if command[0] == b"MULTI":
            self._open[client] = []
        elif command[0] == b"EXEC":
            self.transactions.add(tuple(self._open.pop(client, ())))
        elif client in self._open:
            self._open[client].append(command)

    def has(self, names: set[bytes]) -> bool:
        """Whether commands of all these names were heard."""
        return names <= {command[0] for command in tuple(self.commands)}


def slots(client: redis.Redis, commands: Sequence[Command]) -> set[int]:
    """Slots of all keys in these commands, by Redis' own knowledge of where keys stand."""
    found: set[int] = set()
    for command in commands:
        try:
            keys = client.execute_command("COMMAND GETKEYS", *command)
        except redis.ResponseError as e:
            # It has none: PING, MULTI, PUBLISH …
            assert "no key arguments" in str(e), (command, e)
            continue
        found |= {slot_of(key) for key in keys}
    return found


def use_everything(stack: Stack, round_: int) -> None:
    drivers = [f"slot-{n}" for n in range(8)]
    many = [{**FIX, "driver_id": driver, "order_id": ORDER} for driver in drivers]
    assert stack.request("POST", "/api/v1/drivers/locations", many)[0] == 202
    for driver in drivers:
        path = f"/api/v1/drivers/{driver}/location"
        order_id = f"{ORDER}-{round_}-{driver}"
        order = {"driver_id": driver}
        assert stack.request("PUT", f"/api/v1/orders/{order_id}", order)[0] in {200, 201}
        assert stack.request("POST", path, {**FIX, "order_id": order_id})[0] == 202
        wait_until(partial(_shows, stack, f"/api/v1/orders/{order_id}/location"))
        assert stack.request("GET", path)[0] == 200
        assert stack.request("GET", f"/api/v1/orders/{order_id}")[0] == 200
        assert stack.request("POST", f"/api/v1/orders/{order_id}/complete")[0] == 202
    assert stack.request("GET", "/api/v1/drivers/nearby?lat=53.4&lng=-2.9&radius=100")[0] == 200
    assert stack.request("GET", "/health")[0] in {200, 503}


def _shows(stack: Stack, path: str) -> bool:
    return stack.request("GET", path)[0] == 200


async def watch(stack: Stack) -> None:
    """A customer who sees the snapshot and goes."""
    async with watching(stack.port, ORDER) as socket:
        assert (await socket.json())["type"] == "location_update"


def test_no_command_and_no_transaction_holds_keys_of_two_slots(stack: Stack) -> None:
    with Overheard(stack.redis_url) as heard:
        use_everything(stack, 0)
        asyncio.run(watch(stack))
        # What is done once a second, too.
        wait_until(lambda: heard.has(EXPECTED), timeout_s=20, what="commands of every kind")
        use_everything(stack, 1)
    with redis.Redis.from_url(stack.redis_url) as client:
        groups = heard.transactions | {(command,) for command in heard.commands}
        assert [group for group in groups if len(slots(client, group)) > 1] == []
        assert len(slots(client, list(heard.commands))) > len("0123")


def test_keys_of_two_slots_would_be_found(stack: Stack) -> None:
    with redis.Redis.from_url(stack.redis_url) as client:
        assert len(slots(client, [(b"MGET", b"live:{0}", b"live:{1}")])) == 2
        assert len(slots(client, [(b"EVAL", b"return 1", b"2", b"a{x}", b"b{x}")])) == 1
