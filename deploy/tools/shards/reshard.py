"""Changes the number of shards of a running system.

1. The new layout is announced: consumers start workers for it, which wait.
2. It becomes the one that is written. Ingest looks once a second, and writes there from then on.
3. Consumers close the old streams: Redis refuses an ingest that has not looked. Once all in them is
   shown the new workers begin; see `consumers.stream.barrier`. Neither waits for this command.
4. Until the old streams are stored, and no position in their shards may be shown any more, both are
   read. Then what is left of the old ones is removed. Their streams stay, closed and empty, so that
   an ingest that slept through all this cannot write to where nobody reads.

Redis knows where a change stands, and nothing else does: whatever ends this process, the next one
goes on there. A Redis that does not answer is waited for.
"""

import contextlib
import time
from importlib.resources import files
from typing import Any

import redis

from common.errors import FleetlineError, words_of
from common.keys import HOSTS_NEWS, META
from common.layout import Layout, Layouts, read_layout
from common.settings import Settings
from common.shards import Shards
from consumers.sharing.membership import NEWS_MAX
from deploy.tools.hosts.state import read_hosts
from deploy.tools.shards.alone import RIGHT_TTL_MS, Alone, named
from deploy.tools.shards.leaving import LeavingShards, entries_in, remove, workers
from deploy.tools.shards.outlook import obstacle
from deploy.tools.shards.stage import ReshardStage, Say
from deploy.tools.stack_shards import stack_layouts

LOOK_EVERY_S = 0.2
# A host that has just been started, or was held up, is heard within a second or two.
HEARD_TIMEOUT_S = 3.0
# Workers of the new layout are forked in milliseconds; an overloaded host takes longer.
READY_TIMEOUT_S = 60.0
# Longest wait for the workers of a layout to end that is not there any more.
GONE_TIMEOUT_S = 30.0
# Longest wait for a Redis that does not answer: a failover takes seconds, a restart a minute.
AWAY_TIMEOUT_S = 120.0

TROUBLE = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)

_ANNOUNCE = files(__package__).joinpath("announce.lua").read_text()
_SWITCH = files(__package__).joinpath("switch.lua").read_text()
_RETIRE = files(__package__).joinpath("retire.lua").read_text()


class Resharding:
    """One run of the change. Raises `FleetlineError`, and what redis-py raises."""

    def __init__(self, client: Any, settings: Settings, say: Say) -> None:
        self._client = client
        self._settings = settings
        self._say = say
        self._alone = Alone(client)
        # Whether a change was seen that is not made yet: one that vanishes was taken back.
        self._announced = False
        # Since when this run is at its stage, and how much there was to do then, at most.
        self._at = ""
        self._since_s = 0.0
        self._most = 0

    def run(self, shards: int) -> None:
        """Bring the number of shards to `shards`, or go on with a change to that number."""
        away_since_s: float | None = None
        try:
            while True:
                try:
                    if self._advance(shards):
                        return
                    away_since_s = None
                except TROUBLE as e:
                    now_s = time.monotonic()
                    away_since_s = away_since_s or now_s
                    if now_s - away_since_s > AWAY_TIMEOUT_S:
                        raise
                    self._say(ReshardStage(f"Redis does not answer: {words_of(e)}"))
                time.sleep(LOOK_EVERY_S)
        finally:
            with contextlib.suppress(*TROUBLE):
                self._alone.give_back()

    def abort(self) -> None:
        """Take back a change that was announced and not made."""
        layouts = self._layouts()
        if layouts.before is not None:
            raise FleetlineError(
                f"it is too late: fixes go to {layouts.now.shards} shards already; "
                "let it end, and change the number again"
            )
        if layouts.coming is None and not self._gone():
            self._say(ReshardStage("no change is under way"))
            return
        if layouts.coming is not None:
            if entries_in(self._client, self._shards(layouts.coming)):
                raise FleetlineError(
                    "there are fixes in the new shards already, from before a failover of Redis: "
                    f"run it again with --shards {layouts.coming.shards}"
                )
            if not self._retire("next", layouts.coming):
                raise FleetlineError("it has just been made: look again")
        while not self._is_removed():
            time.sleep(LOOK_EVERY_S)
        self._say(ReshardStage(f"taken back: there are {layouts.now.shards} shards"))

    def _advance(self, shards: int) -> bool:
        """Do what is to be done now; whether it is all."""
        if (other := self._alone.hold()) is not None:
            # One that was killed on another machine has the right for a while.
            self._begin(str(other))
            if self._alone.sees(other) or self._lasts_s > RIGHT_TTL_MS / 1000 + 2:
                raise FleetlineError(f"{named(other)} is at it: wait for it, or stop it")
            self._say(ReshardStage(f"waiting for {named(other)}"))
            return False
        layouts = self._layouts()
        under_way = layouts.coming or (layouts.now if layouts.before is not None else None)
        if under_way is not None and under_way.shards != shards:
            raise FleetlineError(
                f"a change to {under_way.shards} shards is under way: run it again with that number"
                + ("" if layouts.before else ", or take it back with --abort")
            )
        if layouts.coming is not None:
            self._announced = True
            return self._prepare(layouts.coming)
        if layouts.before is not None:
            self._announced = False
            return self._follow(layouts.now, layouts.before)
        if self._announced:
            raise FleetlineError("somebody else took the change back")
        if not self._is_removed():
            return False
        if layouts.now.shards == shards:
            self._say(ReshardStage(f"there are {shards} shards, and no others"))
            return True
        if not self._can_begin(shards):
            return False
        if self._client.eval(_ANNOUNCE, 1, META, shards):
            self._tell_hosts()
        return False

    def _can_begin(self, shards: int) -> bool:
        """Whether there will be workers. Announced, it would wait for such as nobody starts."""
        words = obstacle(read_hosts(self._client, self._settings).hosts, shards)
        if words:
            self._begin("hosts are looked for")
            if self._lasts_s > HEARD_TIMEOUT_S:
                raise FleetlineError(f"{words}: nothing was begun; see `fleetline hosts`")
            self._say(ReshardStage("hosts that run consumers are looked for"))
        return not words

    def _prepare(self, coming: Layout) -> bool:
        self._begin(f"prepare {coming}")
        waiting = coming.shards - workers(self._client, self._shards(coming))
        words = f"workers for {coming.shards} shards are started"
        self._say(ReshardStage(words, waiting, coming.shards))
        if not waiting:
            if self._client.eval(_SWITCH, 1, META, coming.epoch):
                self._say(ReshardStage(f"fixes go to {coming.shards} shards"))
        elif self._lasts_s > READY_TIMEOUT_S:
            raise FleetlineError(
                f"{waiting} of {coming.shards} new shards have no worker: see `fleetline hosts`; "
                "run it again, or take it back with --abort"
            )
        return False

    def _follow(self, now: Layout, before: Layout) -> bool:
        old_shards, new_shards = self._shards(before), self._shards(now)
        leaving = LeavingShards(self._client, old_shards, new_shards, self._alone.hold)
        leaving.move_old_entries()
        left, old = leaving.look(), before.shards
        if left.opened:
            self._count(f"the {old} streams of before are closed", left.opened, old)
        elif left.unshown:
            self._count("what is left in them is shown", left.unshown, old)
        elif left.entries:
            self._count("all is shown; what is left in them is stored", left.entries)
        elif left.positions:
            words = "all is stored; positions of before are read until they are too old"
            self._count(words, left.positions)
        else:
            self._say(ReshardStage("dead letters move along"))
            leaving.move_letters()
            self._retire("old", before)
        return False

    def _is_removed(self) -> bool:
        """Remove the keys of a layout that is not there any more, once its workers have ended."""
        gone = self._gone()
        if gone is None:
            return True
        self._begin(f"remove {gone}")
        shards = self._shards(gone)
        if running := workers(self._client, shards):
            self._say(ReshardStage("the workers of before end", running, gone.shards))
            if self._lasts_s > GONE_TIMEOUT_S:
                raise FleetlineError("workers of before have not ended: run it again")
            return False
        remove(self._client, shards)
        self._client.hdel(META, "gone_shards", "gone_epoch")
        return True

    def _retire(self, which: str, layout: Layout) -> bool:
        taken = bool(self._client.eval(_RETIRE, 1, META, which, layout.epoch))
        if taken:
            self._tell_hosts()
        return taken

    def _begin(self, what: str) -> None:
        if what != self._at:
            self._at, self._since_s, self._most = what, time.monotonic(), 0

    @property
    def _lasts_s(self) -> float:
        return time.monotonic() - self._since_s

    def _count(self, words: str, left: int, total: int = 0) -> None:
        """Say how much is left, of `total` or of the most that it ever was."""
        self._begin(words)
        self._most = max(self._most, left)
        self._say(ReshardStage(words, left, total or self._most))

    def _layouts(self) -> Layouts:
        if not self._client.hexists(META, "shards"):
            raise FleetlineError("nothing was ever started on this Redis: set SHARDS")
        return stack_layouts(self._client, self._settings)

    def _gone(self) -> Layout | None:
        return read_layout(*self._client.hmget(META, "gone_shards", "gone_epoch"))

    def _tell_hosts(self) -> None:
        self._client.xadd(HOSTS_NEWS, {"layout": "changed"}, maxlen=NEWS_MAX)

    def _shards(self, layout: Layout) -> Shards:
        return Shards(self._settings.stream_name, *layout)
