"""The history's trial of a pack, kept in Redis so that a successor knows what killed."""

import hiredis

from common.keys import ShardKeys
from common.redis.wire import Wire, is_full
from consumers.stream.poison.trial import Trial, read_trial

_FIELD = "history_trial"


class HistoryTrials:
    """The trial of one group of a shard; `another` names it where it is not the first.

    Methods raise `Overloaded` or `hiredis.ReplyError`.
    """

    def __init__(self, wire: Wire, keys: ShardKeys, another: str = "") -> None:
        self._wire = wire
        self._key = keys.cursor
        self._field = f"{_FIELD}.{another}" if another else _FIELD

    async def load(self) -> Trial | None:
        """What a predecessor has tried last."""
        return read_trial(await self._wire.send("HGET", self._key, self._field))

    async def keep(self, trial: Trial) -> bool:
        """Keep what is tried. False when Redis is full: then it must not be begun."""
        try:
            await self._wire.send("HSET", self._key, self._field, trial.record)
        except hiredis.ReplyError as e:
            if not is_full(e):
                raise
            return False
        return True

    async def forget(self) -> None:
        """The entry is settled."""
        await self._wire.send("HDEL", self._key, self._field)
