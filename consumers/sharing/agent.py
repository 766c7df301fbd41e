"""The share agent: a child of the consumers' supervisor that says which shards run on this host.

The supervisor speaks to no server; it hears from here, by the way of the heartbeats, the whole list
of what is to run, again and again. An agent that dies changes nothing: what runs goes on, and
the next one begins with what this host holds. The hosts do not wait for each other: they look
once a second, at once when one comes or goes, and often while shards change hands.
"""

import argparse
import asyncio
import sys
import time

import hiredis

from common.errors import EXIT_CONFIG, ConfigError, Overloaded
from common.keys import HOSTS
from common.log import Repeated, configure, get
from common.metrics.names.consumers import HOSTS_SEEN
from common.metrics.reporter import REPORT_EVERY_S, Reporter
from common.metrics.snapshot import Snapshot
from common.processes.background import Background
from common.processes.heartbeat import Heartbeat
from common.processes.process import die_with_parent
from common.processes.signals import STOP_SIGNALS
from common.redis.nodes import Nodes
from common.redis.opening import new_wires
from common.settings import Settings, load_settings
from common.shards import Shard
from common.slots import slot_of
from consumers.sharing.facts import Sharing
from consumers.sharing.idle import IdleHosts
from consumers.sharing.membership import Membership
from consumers.sharing.orders import encode_orders
from consumers.sharing.plan import plan
from consumers.sharing.share import is_settled, share

LOOK_EVERY_S = 1.0
# While shards change hands; each is without a writer for as long as nobody looks.
HURRY_EVERY_S = 0.1
# What has not changed for so long does not by being looked at often.
HURRY_MAX_S = 20.0
# Twice this, and a look, pass between two beats when Redis is slow.
REPLY_TIMEOUT_S = 1.5
# Hosts that are named when they come or go at once; only forged ones are more.
NAMED_MAX = 16
# To say that this host goes. The others find out by themselves if it cannot be said.
LEAVE_TIMEOUT_S = 1.0

REDIS_TROUBLE = (Overloaded, hiredis.ReplyError)

_log = get("sharing")


class ShareAgent:
    """Looks, decides, and tells. `tell` is given what runs on this host."""

    def __init__(self, membership: Membership, me: str, heartbeat: Heartbeat) -> None:
        self._membership = membership
        self._me = me
        self._heartbeat = heartbeat
        self._facts: Sharing | None = None
        self._idle = IdleHosts()
        # The plan for these facts.
        self._planned: dict[int, str] = {}
        self._changed_at_s = 0.0
        self._settled = True
        self._hurrying = False
        # What the supervisor was told; None: what it runs was told by an agent before this one.
        self._running: frozenset[Shard] | None = None
        self._trouble = Repeated(_log, "hosts.not_seen")
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Say that this host goes, and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        while not stopping.done():
            self._heartbeat.beat()
            try:
                self.follow(await self._membership.look(), time.monotonic())
                self._heartbeat.beat()
                waiting = asyncio.ensure_future(self._membership.wait_for_news(self.pause_s))
                await asyncio.wait((waiting, stopping), return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    waiting.result()
                waiting.cancel()
            except REDIS_TROUBLE as e:
                self._trouble.failed(error=str(e))
                await asyncio.wait((stopping,), timeout=LOOK_EVERY_S)
            else:
                self._trouble.healed()
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._membership.leave()
        except (*REDIS_TROUBLE, TimeoutError) as e:
            _log.warning("hosts.not_left", error=str(e) or type(e).__name__)

    def follow(self, seen: Sharing, now_s: float) -> None:
        """Decide what runs here, and tell it."""
        facts = self._idle.judge(seen, now_s)
        if facts != self._facts:
            self._note(facts)
            self._facts, self._changed_at_s = facts, now_s
            self._planned = plan(facts)
            self._settled = is_settled(facts, self._planned)
        for host in self._idle.note(facts, self._planned, now_s):
            _log.warning("host.idle", host=host)
        # While the number of shards changes their places among all of them change too.
        every = self._membership.shards.all
        places = {shard: place for place, shard in enumerate(every)}
        told = self._running
        if told is None:
            told = frozenset(every[n] for n, owner in facts.owners.items() if owner == self._me)
        before = [places[shard] for shard in told if shard in places]
        run = share(facts, self._me, before, self._planned)
        running = frozenset(every[place] for place in run)
        if running != self._running:
            names = [shard.name for shard in every if shard in running]
            _log.info("shards.run", shards=names, hosts=len(facts.hosts))
        self._running = running
        # Always: a message may be lost, and a supervisor does nothing twice.
        self._heartbeat.report(encode_orders(self._membership.shards, running))
        self._hurrying = not self._settled and now_s - self._changed_at_s < HURRY_MAX_S

    def put(self, snapshot: Snapshot) -> None:
        """How many hosts there are."""
        if self._facts is not None:
            snapshot.put(HOSTS_SEEN, len(self._facts.hosts))

    @property
    def pause_s(self) -> float:
        """Until the next look."""
        return HURRY_EVERY_S if self._hurrying else LOOK_EVERY_S

    def _note(self, facts: Sharing) -> None:
        known = self._facts.hosts.keys() if self._facts is not None else facts.hosts.keys()
        for name in sorted(facts.hosts.keys() - known)[:NAMED_MAX]:
            _log.info("host.came", host=name)
        for name in sorted(known - facts.hosts.keys())[:NAMED_MAX]:
            _log.info("host.gone", host=name)


async def serve(settings: Settings, me: str, only: frozenset[int] | None) -> None:
    """Speak for host `me` until SIGTERM or SIGINT. Raises `ConfigError`."""
    heartbeat = Heartbeat.from_env()
    new_wire, cluster = new_wires(settings.redis_url, slot_of(HOSTS), name="fleetline-sharing")
    news = new_wire(LOOK_EVERY_S + REPLY_TIMEOUT_S)
    nodes = cluster or Nodes(new_wire(REPLY_TIMEOUT_S))
    agent = ShareAgent(Membership(nodes, news, me, only, settings), me, heartbeat)
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, agent.stop)
    tasks = Background(_log)
    tasks.every(REPORT_EVERY_S, Reporter(heartbeat.report, agent.put).report, name="report")
    # First, since a cluster's map says where the news are.
    await nodes.start()
    await news.start()
    try:
        if not news.up:
            await _check(settings, heartbeat)
        await agent.run()
    finally:
        await tasks.close()
        await news.close()
        await nodes.close()


async def _check(settings: Settings, heartbeat: Heartbeat) -> None:
    """Why there is no connection: a wrong setting is found out here, and ends the role."""
    # Costs half a second of imports, and hardly any start needs them.
    from redis.exceptions import RedisError  # noqa: PLC0415

    from common.redis.meta import check_meta  # noqa: PLC0415

    heartbeat.beat()
    try:
        await check_meta(settings.redis_url, settings.shards, settings.stream_name)
    except (RedisError, OSError) as e:
        _log.warning("hosts.no_redis", error=str(e))


def main() -> int:
    """Entry point: `python -m consumers.sharing.agent --host NAME [--only 0,1,2]`."""
    die_with_parent()
    parser = argparse.ArgumentParser(description="Say which shards run on this host.")
    parser.add_argument("--host", required=True)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    only = None
    if arguments.only is not None:
        only = frozenset(map(int, arguments.only.split(",")))
    try:
        settings = load_settings()
        configure("sharing", settings.log_level, settings.log_format)
        asyncio.run(serve(settings, arguments.host, only))
    except ConfigError as e:
        print(f"fleetline: {e}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main())
