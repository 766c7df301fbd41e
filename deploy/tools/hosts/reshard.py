"""Changes the number of shards of a running system. Every step may be done again.

1. The new layout is announced: consumers start workers for it, which wait.
2. It becomes the one that is written. Ingest looks once a second, and writes there from then on.
3. Consumers close the old streams: Redis refuses whoever has not looked. Once all in them is shown
   the new workers begin; see `consumers.stream.barrier`. Neither waits for this command.
4. Until the old streams are stored, and no position in their shards may be shown any more, both are
   read. Then what is left of the old ones is removed. Their streams stay, closed and empty, so that
   an ingest that slept through all this cannot write to where nobody reads.
"""

import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from common.errors import FleetlineError, PoisonEntry
from common.event import decode_event
from common.keys import HOSTS_NEWS, META, ShardKeys
from common.layout import SINCE, Layout, Layouts, read_layout, read_since
from common.settings import Settings
from common.shards import Shards
from consumers.sharing.membership import NEWS_MAX
from consumers.stream.barrier import is_shown
from deploy.tools.stack_shards import stack_layouts

LOOK_EVERY_S = 0.2
# Workers of the new layout are forked in milliseconds; an overloaded host takes longer.
READY_TIMEOUT_S = 60.0
# Longest wait for the workers of a layout to end that is not there any more.
GONE_TIMEOUT_S = 30.0
# How long a closed, empty stream refuses an ingest that slept through the change.
CLOSED_KEPT_S = 7 * 86_400
LETTERS_PAGE = 100

_SWITCH = files(__package__).joinpath("switch.lua").read_text()


class Resharding:
    """One run of the change. `say` is given lines of progress. Raises `FleetlineError`."""

    def __init__(self, client: Any, settings: Settings, say: Callable[[str], None]) -> None:
        self._client = client
        self._settings = settings
        self._say = say

    def run(self, shards: int) -> None:
        """Bring the number of shards to `shards`, or go on with a change to that number."""
        if not self._client.hexists(META, "shards"):
            raise FleetlineError("nothing was ever started on this Redis: set SHARDS")
        self._remove_gone()
        layouts = stack_layouts(self._client, self._settings)
        under_way = layouts.coming or (layouts.now if layouts.before is not None else None)
        if under_way is not None and under_way.shards != shards:
            raise FleetlineError(
                f"a change to {under_way.shards} shards is under way: run it again with that number"
                + ("" if layouts.before else ", or take it back with --abort")
            )
        if under_way is None and layouts.now.shards == shards:
            self._say(f"there are {shards} shards")
            return
        if layouts.before is None:
            self._prepare(layouts, shards)
            layouts = stack_layouts(self._client, self._settings)
        if layouts.before is None:
            raise FleetlineError("somebody else took the change back")
        old = self._shards(layouts.before)
        self._await_closed(old)
        self._follow(layouts, old)
        for shard in old:
            self._move_letters(shard.keys.dead, self._shards(layouts.now))
        self._client.hset(META, mapping=_gone(layouts.before))
        self._client.hdel(META, "old_shards", "old_epoch", SINCE)
        self._tell_hosts()
        self._remove_gone()

    def abort(self) -> None:
        """Take back a change that was announced and not made."""
        layouts = stack_layouts(self._client, self._settings)
        if layouts.before is not None:
            raise FleetlineError(
                f"it is too late: fixes go to {layouts.now.shards} shards already; "
                "let it end, and change the number again"
            )
        if layouts.coming is None:
            self._say("no change is under way")
            return
        self._client.hset(META, mapping=_gone(layouts.coming))
        self._client.hdel(META, "next_shards", "next_epoch")
        self._tell_hosts()
        self._remove_gone()
        self._say(f"taken back: there are {layouts.now.shards} shards")

    def _prepare(self, layouts: Layouts, shards: int) -> None:
        coming = layouts.coming or Layout(shards, layouts.now.epoch + 1)
        if layouts.coming is None:
            fields = {"next_shards": coming.shards, "next_epoch": coming.epoch}
            self._client.hset(META, mapping=fields)
            self._tell_hosts()
        new = self._shards(coming)
        until_s = time.monotonic() + READY_TIMEOUT_S
        while waiting := sum(not self._client.exists(shard.keys.consumer) for shard in new):
            self._say(f"workers for {shards} shards are started: {waiting} to go")
            if time.monotonic() > until_s:
                raise FleetlineError(
                    f"{waiting} of {shards} new shards have no worker: see `fleetline hosts`; "
                    "run it again, or take it back with --abort"
                )
            time.sleep(LOOK_EVERY_S)
        if not self._client.eval(_SWITCH, 1, META, coming.epoch):
            raise FleetlineError("somebody else took the change back")
        self._say(f"fixes go to {shards} shards")

    def _await_closed(self, old: Shards) -> None:
        while open_ := sum(not self._client.exists(shard.keys.closed) for shard in old):
            self._say(f"{open_} streams of before still take what comes")
            time.sleep(LOOK_EVERY_S)
        self._say(f"the {len(old)} streams of before take no more")

    def _follow(self, layouts: Layouts, old: Shards) -> None:
        since_s = (read_since(self._client.hget(META, SINCE)) or 0) / 1000
        while True:
            unshown = sum(not self._is_shown(shard.keys) for shard in old)
            entries = sum(self._client.xlen(shard.keys.stream) for shard in old)
            left_s = since_s + self._settings.location_ttl - self._now_s()
            if unshown:
                self._say(f"{unshown} of them are not shown to their ends")
            elif entries:
                self._say(f"all is shown; entries of before that are to be stored: {entries}")
            elif left_s > 0:
                self._say("all is stored; positions of before are read until they are too old")
            else:
                self._say(f"there are {layouts.now.shards} shards, and no others")
                return
            time.sleep(LOOK_EVERY_S)

    def _is_shown(self, keys: ShardKeys) -> bool:
        closed, cursor = self._client.get(keys.closed), self._client.hget(keys.cursor, "id")
        return is_shown(closed, cursor)

    def _move_letters(self, dead: str, new: Shards) -> None:
        """Dead letters of a shard that goes, to where their drivers are now.

        Killed in between, a letter may be there twice; none is lost.
        """
        while page := self._client.xrange(dead, count=LETTERS_PAGE):
            for entry_id, fields in page:
                self._client.xadd(_home(fields, new), fields)
                self._client.xdel(dead, entry_id)

    def _remove_gone(self) -> None:
        """Remove the keys of a layout that is not there any more, once its workers have ended."""
        layout = read_layout(*self._client.hmget(META, "gone_shards", "gone_epoch"))
        if layout is None:
            return
        gone = self._shards(layout)
        until_s = time.monotonic() + GONE_TIMEOUT_S
        while any(self._client.exists(shard.keys.consumer) for shard in gone):
            if time.monotonic() > until_s:
                raise FleetlineError("workers of before have not ended: run it again")
            time.sleep(LOOK_EVERY_S)
        for shard in gone:
            keys = shard.keys
            for key in (keys.live, keys.geo, keys.seen, keys.dead, keys.cursor, keys.fence,
                        keys.counts, keys.places):  # fmt: skip
                self._client.delete(key)
            for key in (keys.stream, keys.closed):
                self._client.expire(key, CLOSED_KEPT_S)
        self._client.hdel(META, "gone_shards", "gone_epoch")

    def _tell_hosts(self) -> None:
        self._client.xadd(HOSTS_NEWS, {"layout": "changed"}, maxlen=NEWS_MAX)

    def _shards(self, layout: Layout) -> Shards:
        return Shards(self._settings.stream_name, *layout)

    def _now_s(self) -> float:
        # By way of the key: in a cluster each server has a clock.
        seconds, micros = self._client.eval("return redis.call('TIME')", 1, META)
        return int(seconds) + int(micros) / 1e6


def _gone(layout: Layout) -> dict[str, int]:
    return {"gone_shards": layout.shards, "gone_epoch": layout.epoch}


def _home(fields: dict[bytes, bytes], shards: Shards) -> str:
    """The dead letters of the driver of one; what cannot be read goes to the first shard."""
    try:
        driver_id = decode_event(fields.get(b"payload", b"")).driver_id
    except PoisonEntry:
        return shards[0].keys.dead
    return shards.of(driver_id).keys.dead
