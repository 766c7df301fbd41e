"""How many drivers a shard shows, and how many dead letters wait in it, seen once a second."""

from common.keys import ShardKeys
from common.redis.wire import Wire


class Population:
    """The last look."""

    def __init__(self, wire: Wire, keys: ShardKeys) -> None:
        self._wire = wire
        self._keys = keys
        self.seen = False
        self.drivers = self.dead_letters = 0

    async def look(self) -> None:
        """See. Raises `Overloaded` or `hiredis.ReplyError`."""
        questions = [("ZCARD", self._keys.seen), ("XLEN", self._keys.dead)]
        self.drivers, self.dead_letters = await self._wire.pipeline(questions)
        self.seen = True
