"""The history of one shard, put together: a stage for each database that its drivers are in.

Nearly always that is one. Several share the stream and nothing else: each has a group, a connection
to its database and a page in hand of its own, so one that waits for its database delays no other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from common.backoff import Backoff
from common.databases.placing import HistoryGroup, history_groups
from common.databases.seat import Seat
from common.metrics.histogram import Histogram
from common.metrics.names.consumers import STORE_SECONDS
from common.redis.wire import Wire
from common.settings import Settings
from common.shards import Shard
from consumers.history.own_fixes import OwnFixes
from consumers.history.pages import PageLimits, PageSource
from consumers.history.patience import Patience
from consumers.history.settle import HistorySigns, Settler
from consumers.history.stage import HistoryStage
from consumers.history.table import HistoryTable
from consumers.history.table_times import TableTimes
from consumers.history.trials import HistoryTrials
from consumers.liveness import Liveness
from consumers.stage_watch import StageWatch
from consumers.stream.counts.counts import Counts
from consumers.stream.counts.gauge import StreamGauge
from consumers.stream.cursor import LiveCursor
from consumers.stream.entry import Entry
from consumers.stream.group_maker import GroupMaker
from consumers.stream.group_reader import GroupReader
from consumers.stream.poison.dead_letters import DeadLetterWriter


@dataclass(frozen=True, slots=True)
class HistoryParts:
    """What stores a shard's fixes in one database. `name`: among the stages of the worker."""

    name: str
    stage: HistoryStage
    table: HistoryTable
    group: GroupMaker
    gauge: StreamGauge
    letters: DeadLetterWriter


class HistoryAssembly:
    """Makes the histories of one shard, of `shards`. `wire` is for their pages."""

    def __init__(
        self, settings: Settings, shard: Shard, shards: int, wire: Wire, counts: Counts
    ) -> None:
        self._settings = settings
        self._shard = shard
        self._wire = wire
        self._counts = counts
        self._urls = settings.databases
        self.groups = history_groups(settings.consumer_group, shard.index, shards, len(self._urls))
        self._seconds = Histogram(STORE_SECONDS)

    @property
    def group_names(self) -> tuple[str, ...]:
        """The groups that store."""
        return tuple(group.name for group in self.groups)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Their stages; the first has the plain name."""
        return tuple(map(self._stage_name, self.groups))

    def make(
        self,
        cursor: LiveCursor,
        liveness: Liveness,
        watch: StageWatch,
        *,
        backoff: Backoff,
        reclaim_s: float,
    ) -> tuple[HistoryParts, ...]:
        """All of them."""
        return tuple(
            self._one(
                group,
                cursor,
                HistorySigns(partial(liveness.advanced, self._stage_name(group)), watch),
                backoff=backoff,
                reclaim_s=reclaim_s,
            )
            for group in self.groups
        )

    def _stage_name(self, group: HistoryGroup) -> str:
        is_first = group is self.groups[0]
        return "history" if is_first else f"history-{group.database + 1}"

    def _one(
        self,
        group: HistoryGroup,
        cursor: LiveCursor,
        signs: HistorySigns,
        *,
        backoff: Backoff,
        reclaim_s: float,
    ) -> HistoryParts:
        settings, wire, keys = self._settings, self._wire, self._shard.keys
        index, is_first = self._shard.index, group is self.groups[0]
        reader = GroupReader(
            wire, keys, group=group.name, consumer=f"shard-{index}", pick=self._pick(group)
        )
        gauge = StreamGauge(wire, keys, group=group.name)
        maker = GroupMaker(reader, gauge, self._counts)
        table = HistoryTable(
            self._urls[group.database],
            timeout_s=settings.database_timeout_s,
            insight=settings.insight == "on",
            seat=Seat(group.database, len(self._urls)),
            times=TableTimes(self._seconds),
        )
        trials = HistoryTrials(wire, keys, "" if is_first else str(group.database + 1))
        letters = DeadLetterWriter(wire, keys, shard=index, group=group.name)
        patience = Patience(maker.make_again, backoff=backoff)
        settler = Settler(
            reader,
            table,
            letters,
            self._counts,
            patience,
            trials=trials,
            retries=settings.max_retries,
            signs=signs,
        )
        limits = PageLimits(
            settings.history_rows, settings.max_retries, settings.pending_message_timeout
        )
        source = PageSource(
            reader, trials, limits, live_killers=lambda: cursor.killers, reclaim_every_s=reclaim_s
        )
        stage = HistoryStage(
            source,
            settler,
            table,
            patience,
            linger_s=settings.history_linger_ms / 1000,
            signs=signs,
            database=group.database + 1 if len(self._urls) > 1 else None,
        )
        return HistoryParts(self._stage_name(group), stage, table, maker, gauge, letters)

    def _pick(self, group: HistoryGroup) -> Callable[[Entry], Entry] | None:
        if len(self.groups) == 1:
            return None
        of_shard = tuple(each.database for each in self.groups)
        return OwnFixes(group.database, of_shard, len(self._urls)).pick
