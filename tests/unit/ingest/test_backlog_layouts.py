"""Which shards ingest writes: none before Redis has said how many there are."""

import asyncio
from typing import Any

from common.errors import Overloaded
from common.keys import META
from common.layout import Layout, Layouts
from common.shards import Shards
from ingest.intake.backlog import Backlog

WRITTEN = (b"7", b"2", None, None, b"4", b"1")


class Primary:
    """A server that is there or not."""

    def __init__(self, meta: tuple[bytes | None, ...] = (None,) * 6) -> None:
        self.up = True
        self.meta = meta

    async def send(self, *command: Any) -> Any:
        if not self.up:
            raise Overloaded("Redis is not reachable")
        assert command[:2] == ("HMGET", META)
        return list(self.meta)

    async def pipeline_raw(self, commands: list[Any]) -> list[Any]:
        answers = {"HMGET": (None, None), "INFO": b"used_memory:1\r\nmaxmemory:0\r\n"}
        return [answers.get(command[0], 0) for command in commands]


class ClusterOfTwo:
    """What there is one of lies on another server than the shards."""

    is_cluster = True

    def __init__(self, meta: Primary) -> None:
        self.meta, self.shards = meta, Primary()
        self.wires = [self.shards]

    def key_wire(self, _key: str) -> Primary:
        return self.meta

    def wire(self, _shard: object) -> Primary:
        return self.shards


class NothingGathers:
    """No fix is on its way."""

    def gathered(self) -> list[int]:
        return [0] * 4


def backlog_on(meta: Primary, adopted: list[Layouts]) -> Backlog:
    nodes: Any = ClusterOfTwo(meta)
    turns: Any = NothingGathers()

    def adopt(layouts: Layouts) -> bool:
        adopted.append(layouts)
        return True

    return Backlog(nodes, Shards("driver-locations", 4), turns, 100, adopt)


def test_nothing_is_taken_before_it_is_known_which_shards_there_are() -> None:
    """What broke: in a cluster whose first server was away, fixes went to shards of before a change
    of their number, which nobody reads.
    """
    meta, adopted = Primary(WRITTEN), list[Layouts]()

    async def main() -> None:
        meta.up = False
        backlog = backlog_on(meta, adopted)
        await backlog.poll()
        assert backlog.capacity.closed
        meta.up = True
        await backlog.poll()
        assert adopted == [Layouts(Layout(7, 2), before=Layout(4))]

    asyncio.run(main())


def test_once_it_is_known_its_server_may_be_away() -> None:
    meta, adopted = Primary(), list[Layouts]()

    async def main() -> None:
        backlog = backlog_on(meta, adopted)
        await backlog.poll()
        assert not backlog.capacity.closed
        meta.up = False
        await backlog.poll()
        assert not backlog.capacity.closed

    asyncio.run(main())
    assert adopted == []


def test_what_a_redis_has_forgotten_stays_as_it_was() -> None:
    """What broke: after a flush consumers went back to the number that was set, and ingest did not:
    what it accepted lay where nobody read.
    """
    meta, adopted = Primary(WRITTEN), list[Layouts]()

    async def main() -> None:
        backlog = backlog_on(meta, adopted)
        await backlog.poll()
        meta.meta = (None,) * 6
        await backlog.poll()

    asyncio.run(main())
    assert len(adopted) == 1


def test_what_cannot_be_read_from_the_beginning_opens_nothing() -> None:
    """What broke: where Redis was away at the start, and then said what is no layout, fixes went to
    as many shards as were set.
    """
    meta, adopted = Primary((b"many", b"2", None, None, None, None)), list[Layouts]()

    async def main() -> None:
        backlog = backlog_on(meta, adopted)
        await backlog.poll()
        assert "cannot be read" in backlog.capacity.closed
        meta.meta = WRITTEN
        await backlog.poll()
        assert len(adopted) == 1
        assert not backlog.capacity.closed
        # Who knows what there is goes on with it.
        meta.meta = (b"many", b"2", None, None, None, None)
        await backlog.poll()
        assert not backlog.capacity.closed

    asyncio.run(main())
