"""REPLICATION: when a write waits for a replica, and what is said when there is none."""

import asyncio
from typing import Any

import pytest

from common.errors import Overloaded
from common.redis.replication import Mode, Replication, following
from tests.stub_wire import StubWire, first, passed
from tests.virtual import run_virtually

FOLLOWED = (
    b"role:master\r\nconnected_slaves:1\r\nslave0:ip=::1,port=1,state=online,offset=7,lag=0\r\n"
)
ALONE = b"role:master\r\nconnected_slaves:0\r\n"


def test_auto_waits_while_a_replica_is_connected() -> None:
    said: list[bool] = []
    rule = Replication(Mode.AUTO, expected=False, changed=said.append)
    assert rule.copies == 0
    rule.saw(0)
    # One server alone is as it was meant to be.
    assert (rule.copies, rule.lacking, said) == (0, False, [])
    rule.saw(2)
    assert rule.copies == 1
    rule.saw(0)
    assert (rule.copies, rule.lacking, said) == (0, True, [True])
    rule.saw(1)
    assert (rule.copies, rule.lacking, said) == (1, False, [True, False])


def test_auto_waits_where_replicas_are_to_be_expected_until_it_knows() -> None:
    rule = Replication(Mode.AUTO, expected=True)
    assert rule.copies == 1
    rule.saw(0)
    assert (rule.copies, rule.lacking) == (0, True)


def test_strict_waits_always_and_off_never() -> None:
    strict, off = (Replication(mode, expected=True) for mode in (Mode.STRICT, Mode.OFF))
    for connected in (0, 1):
        strict.saw(connected)
        off.saw(connected)
        assert (strict.copies, off.copies) == (1, 0)
    strict.saw(0)
    off.saw(0)
    assert (strict.lacking, off.lacking) == (True, False)


def test_a_replica_that_still_loads_does_not_follow() -> None:
    assert following(FOLLOWED) == 1
    assert following(ALONE) == 0
    assert following(FOLLOWED.replace(b"online", b"send_bulk")) == 0
    assert following(b"role:slave\r\nslave0:ip=a,port=1,state=online,offset=1,lag=0\r\n") == 0


class Replicated(StubWire):
    """A server with a replica, as `info` says."""

    def __init__(self) -> None:
        super().__init__()
        self.info = FOLLOWED
        self.asked = 0

    def send(self, *_command: Any) -> asyncio.Future[bytes]:
        self.asked += 1
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        reply.set_result(self.info)
        return reply

    def copied(self, number: int, copies: int) -> None:
        """Answer write `number`, and its WAIT."""
        write = self.writes[number]
        assert write.commands[-1][0] == "WAIT"
        write.receiver.set_result([*(b"7-1", 1) * (len(write.commands) // 2), copies])


def test_a_write_is_accepted_once_a_replica_has_it() -> None:
    async def main() -> None:
        wire = Replicated()
        turns = first(wire, replication=Mode.AUTO, replicated=True)
        accepted = turns.add_one(0, b"a")
        await passed()
        wire.copied(0, 1)
        assert await accepted == b"0-7-1"
        refused = turns.add_one(0, b"b")
        await passed()
        wire.copied(1, 0)
        with pytest.raises(Overloaded, match="replica"):
            await refused

    run_virtually(main())


def test_auto_goes_on_alone_once_the_replica_has_gone() -> None:
    """It is decided between two turns: under load there is always one that waits."""

    async def main() -> None:
        wire = Replicated()
        turns = first(wire, replication=Mode.AUTO, replicated=True)
        refused = turns.add_one(0, b"a")
        await passed()
        later = turns.add_one(0, b"b")
        wire.info = ALONE
        wire.copied(0, 0)
        with pytest.raises(Overloaded):
            await refused
        await passed()
        assert wire.asked == 1
        assert [command[0] for command in wire.writes[1].commands] == ["XADD", "HINCRBY"]
        wire.answer(1)
        assert await later == b"0-7-0"
        assert turns.replication.lacking

    run_virtually(main())


def test_a_replica_that_is_there_and_does_not_answer_is_waited_for() -> None:
    """So it is for who is cut off with the primary: what it accepted would be lost."""

    async def main() -> None:
        wire = Replicated()
        turns = first(wire, replication=Mode.AUTO, replicated=True)
        for number in range(3):
            refused = turns.add_one(0, b"a")
            await passed()
            wire.copied(number, 0)
            with pytest.raises(Overloaded):
                await refused
            await passed()

    run_virtually(main())
