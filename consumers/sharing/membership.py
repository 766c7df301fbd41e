"""The hosts as Redis knows them, and who holds which shard. Holds no rules.

A host that says nothing for `SILENT_S` counts no more; what it holds is free when its leases have
run out, or at once where its process was seen to be dead. Whoever may write to Redis may have
written anything there: a name that no host has is none, and of more hosts than there may be only
those count that hold shards.
"""

from importlib.resources import files

import hiredis

from common.errors import Overloaded
from common.keys import (
    FIRST_EPOCH,
    FORMAT_VERSION,
    HOSTS,
    HOSTS_DRAINED,
    HOSTS_NEWS,
    HOSTS_SAID,
    META,
)
from common.layout import SINCE, Layout, Layouts, UnreadableLayout, read_since
from common.log import Repeated, get
from common.redis.layout_watch import LayoutWatch
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply, Wire
from common.settings import Settings
from common.shards import Shard, Shards
from consumers.sharing.facts import HostTerms, Sharing
from consumers.sharing.host import SAID_BYTES_MAX, encode_record, read_terms
from consumers.stream.barrier import CLOSED_ID
from consumers.stream.holder import HOLDER_CHARS_MAX, NO_HOST, Holder, host_of, is_host_name
from consumers.stream.lease import TTL_S

# Four beats. Shorter than a lease, so that a plan without a dead host is there when they run out.
SILENT_S = 4.0
# Entries of news that are kept: whoever missed some finds out with its next look.
NEWS_MAX = 64
# More have no use: a host is a machine or a container, and each has several shards. A plan for so
# many takes milliseconds.
HOSTS_MAX = 256
# Ingest looks once a second which layout is written.
SWITCH_MS = 1500

_HOSTS = files(__package__).joinpath("hosts.lua").read_text()
_CLOSE = files(__package__).joinpath("close.lua").read_text()
_RESTORE = files(__package__).joinpath("restore.lua").read_text()

_log = get("sharing")


class Membership:
    """This host among the others. Methods raise `Overloaded` or `hiredis.ReplyError`.

    `news` waits for news, so nothing else can use it.
    """

    def __init__(
        self,
        nodes: Nodes,
        news: Wire,
        me: str,
        only: frozenset[int] | None,
        settings: Settings,
    ) -> None:
        self._nodes = nodes
        self._layouts = LayoutWatch(nodes, settings.stream_name, settings.shards)
        self._news = news
        # Those of the layout that was set, or of those that Redis has.
        self.shards = Shards(settings.stream_name, settings.shards)
        self._settings = settings
        # The layout of before, and its shards whose streams were closed.
        self._closing: Layout | None = None
        self._closed: set[Shard] = set()
        self._me = me
        self._terms = HostTerms(only)
        self._agent = Holder.of_this_process()
        self._said = encode_record(self._agent, only)
        self._seen = b"$"
        # Who held which shard when it was asked last.
        self._holders_seen: dict[int, str] = {}
        self._crowd = Repeated(_log, "hosts.too_many")
        self._unreadable = Repeated(_log, "layout.unreadable")
        self._unclosed = Repeated(_log, "shards.not_closed")

    async def look(self) -> Sharing:
        """Say that this host lives; who else does, and who holds what."""
        await self._follow_layouts()
        # Asked first: a host that comes in between is among the hosts then, whatever it has taken.
        holders = await self._holders()
        holding = {host_of(holder) for holder in holders.values()} - {self._me, NO_HOST}
        answer = await self._nodes.key_wire(HOSTS).send(
            *("EVAL", _HOSTS, 4, HOSTS, HOSTS_SAID, HOSTS_DRAINED, HOSTS_NEWS),
            *(self._me, self._said, int(SILENT_S * 1000), NEWS_MAX, HOSTS_MAX, SAID_BYTES_MAX),
            *(self._me, *sorted(holding)),
        )
        hosts = self._hosts(answer)
        owners = {shard: host_of(holder) for shard, holder in holders.items()}
        gone = [shard for shard, host in owners.items() if host not in hosts]
        for shard in gone:
            if self._is_dead(holders[shard]) or await self._is_endless(shard):
                del owners[shard]
        places: dict[int, list[int]] = {}
        for place, each in enumerate(self.shards.all):
            places.setdefault(each.index, []).append(place)
        hosts = {name: terms.placed(places) for name, terms in hosts.items()}
        return Sharing(hosts, owners, len(self.shards.all))

    def _hosts(self, answer: Reply) -> dict[str, HostTerms]:
        """The hosts that count, by what the script says."""
        if answer[0] > HOSTS_MAX:
            self._crowd.failed(hosts=answer[0], most=HOSTS_MAX)
        else:
            self._crowd.healed()
        hosts = {self._me: self._terms}
        for raw, said, drained in zip(answer[1::3], answer[2::3], answer[3::3], strict=True):
            name = raw.decode("utf-8", "replace")
            terms, agent = read_terms(said, drained=bool(drained))
            is_dead = agent is not None and agent.is_dead_beside(self._agent)
            if is_host_name(name) and not is_dead:
                hosts[name] = terms
        return hosts

    async def _follow_layouts(self) -> None:
        try:
            found = await self._layouts.look()
            if not self._layouts.kept and found.now.epoch != FIRST_EPOCH:
                await self._restore(found.now)
        except Overloaded:
            # Its server may be away while those of shards are not: they are as they were.
            if not self._nodes.is_cluster:
                raise
            return
        if found == Layouts(Layout(found.now.shards)):
            # A number that was set wrong is refused by the workers, which say why.
            found = Layouts(Layout(self._settings.shards))
        older = self.shards.older.layout if self.shards.older is not None else None
        if (found.newest, found.older) != (self.shards.layout, older):
            self.shards = Shards(self._settings.stream_name, *found.newest, found.older)
            self._holders_seen = {}
        if found.before is not None:
            await self._close(Shards(self._settings.stream_name, *found.before))

    async def _restore(self, layout: Layout) -> None:
        """Redis was emptied. What goes on to be written is of a layout that it must know again:
        else a start would take it for a new system's, with another number.
        """
        wire = self._nodes.key_wire(META)
        await wire.send("EVAL", _RESTORE, 1, META, layout.shards, layout.epoch, FORMAT_VERSION)
        _log.warning("layout.restored", shards=layout.shards, epoch=layout.epoch)

    async def _close(self, older: Shards) -> None:
        """Once ingest has had its time to look, let Redis refuse all who have not."""
        if older.layout != self._closing:
            self._closing, self._closed = older.layout, set()
        left = [shard for shard in older if shard not in self._closed]
        if not left:
            return
        wire = self._nodes.key_wire(META)
        try:
            field, (seconds, micros) = await wire.pipeline([("HGET", META, SINCE), ("TIME",)])
            since_ms = read_since(field)
        except (UnreadableLayout, hiredis.ReplyError) as e:
            self._unreadable.failed(error=str(e))
            return
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        if now_ms - (since_ms or now_ms) < SWITCH_MS:
            return
        for shard in left:
            keys = (shard.keys.stream, shard.keys.closed)
            group = self._settings.consumer_group
            try:
                await self._nodes.wire(shard).send("EVAL", _CLOSE, 2, *keys, group, CLOSED_ID)
            except (Overloaded, hiredis.ReplyError) as e:
                # One that is away or full is closed later; nothing else waits for that.
                self._unclosed.failed(stream=shard.keys.stream, error=str(e))
            else:
                self._closed.add(shard)

    async def _holders(self) -> dict[int, str]:
        """The holders of all shards, by their places among them."""
        by_wire: dict[Wire, list[Shard]] = {}
        places = {shard: place for place, shard in enumerate(self.shards.all)}
        for shard in places:
            by_wire.setdefault(self._nodes.wire(shard), []).append(shard)
        holders: dict[int, str] = {}
        for wire, part in by_wire.items():
            asked: list[Command] = [
                ("GETRANGE", shard.keys.consumer, 0, HOLDER_CHARS_MAX) for shard in part
            ]
            try:
                replies = await wire.pipeline_raw(asked)
            except Overloaded as e:
                if not self._nodes.is_cluster:
                    raise
                replies = [hiredis.ReplyError(str(e))] * len(part)
            for place, reply in zip((places[shard] for shard in part), replies, strict=True):
                holder = _holder_in(reply, self._holders_seen.get(place, ""))
                if holder:
                    holders[place] = holder
        self._holders_seen = holders
        return holders

    def _is_dead(self, holder: str) -> bool:
        """Whether it is a process of this machine that is dead; its host, if it lives, knows."""
        found = Holder.parse(holder)
        return found is not None and found.is_dead_beside(self._agent)

    async def _is_endless(self, place: int) -> bool:
        """Whether a lease of no living host lasts longer than one can (`lease.lua`)."""
        shard = self.shards.all[place]
        try:
            left_ms = await self._nodes.wire(shard).send("PTTL", shard.keys.consumer)
        except Overloaded:
            # Its primary is away.
            return False
        return not 0 <= left_ms <= TTL_S * 1000

    async def wait_for_news(self, most_s: float) -> None:
        """Wait until a host comes, goes or is to hand over, or for so long."""
        block_ms = max(1, int(most_s * 1000))
        found = await self._news.send("XREAD", "BLOCK", block_ms, "STREAMS", HOSTS_NEWS, self._seen)
        if found:
            ((_, entries),) = found
            self._seen = entries[-1][0]

    async def leave(self) -> None:
        """Say that this host goes: what it holds is free as soon as its workers have ended."""
        await self._nodes.key_wire(HOSTS).pipeline(
            [
                ("ZREM", HOSTS, self._me),
                ("HDEL", HOSTS_SAID, self._me),
                ("HDEL", HOSTS_DRAINED, self._me),
                ("XADD", HOSTS_NEWS, "MAXLEN", NEWS_MAX, "*", "went", self._me),
            ]
        )


def _holder_in(reply: Reply, before: str) -> str:
    """Who holds a shard by what its server says, empty for nobody.

    Where it says nothing its primary is away: nobody can take the shard, so it is as before.
    """
    if not isinstance(reply, hiredis.ReplyError):
        return (reply or b"").decode("utf-8", "replace")
    return "" if str(reply).startswith("WRONGTYPE") else before
