"""A connection that is made while its slot moves leads to the primary that has the slot."""

import asyncio
from typing import Any

import pytest

from common.errors import Overloaded
from common.redis.cluster.pinned import PinnedWire
from common.redis.cluster.slot_map import Address
from common.redis.url import RedisUrl, parse_redis_url
from common.redis.wire import Wire

BEFORE, AFTER = Address("127.0.0.1", 7001), Address("127.0.0.1", 7002)


class Opened:
    """A connection that was made."""

    def __init__(self) -> None:
        self.failed = ""

    def fail(self, reason: str) -> None:
        self.failed = reason


async def _locate(_slot: int) -> RedisUrl:
    return parse_redis_url(f"redis://{BEFORE.host}:{BEFORE.port}/0")


@pytest.mark.parametrize("moves", [True, False])
def test_a_slot_that_moves_as_its_connection_is_made_is_followed(
    moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could break: the connection to the primary of before was kept, and whoever waited on it
    waited for as long as a reply may take.
    """
    opened: Any = Opened()

    async def main() -> None:
        wire = PinnedWire(7, _locate, reply_timeout_s=60.0, name="test")

        async def connect(_wire: Wire) -> Any:
            await wire._locate_slot()
            if moves:
                asyncio.get_running_loop().call_soon(wire.follow, AFTER)
            return opened

        monkeypatch.setattr(Wire, "_connect", connect)
        if moves:
            with pytest.raises(Overloaded, match="another server"):
                await wire._connect()
        else:
            assert await wire._connect() is opened

    asyncio.run(main())
    assert bool(opened.failed) is moves
