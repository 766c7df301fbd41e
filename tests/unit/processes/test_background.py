"""Background tasks: none dies unseen, and trouble in one chore holds up no other."""

import asyncio

from structlog.testing import capture_logs

from common.errors import Overloaded
from common.log import get
from common.processes.background import Background
from tests.wait import until


def test_a_chore_that_meets_trouble_is_said_and_tried_again_and_holds_up_no_other():
    async def main():
        done = {"refused": 0, "other": 0}
        died = []
        background = Background(get("test"), crashed=lambda name, error: died.append(name))

        async def refused():
            done["refused"] += 1
            raise Overloaded("not now")

        async def other():
            done["other"] += 1

        with capture_logs() as said:
            background.every(0.001, refused, name="refused")
            background.every(0.001, other, name="other")
            await until(lambda: _all(done, 5))
            await background.close()
        assert died == []
        assert [line["event"] for line in said].count("refused.failed") == 1

    asyncio.run(main())


def test_a_bug_in_any_task_is_told_with_its_name_and_the_error():
    async def main():
        died = []
        background = Background(get("test"), crashed=lambda name, error: died.append((name, error)))

        async def bug():
            raise KeyError("a bug")

        background.every(0.001, bug, name="chore")
        background.run(bug(), name="loop")
        await until(lambda: _told(died))
        await background.close()
        assert sorted(name for name, _ in died) == ["chore", "loop"]
        assert all(isinstance(error, KeyError) for _, error in died)

    asyncio.run(main())


def test_closing_is_no_crash_and_leaves_no_task():
    async def main():
        died = []
        background = Background(get("test"), crashed=lambda name, error: died.append(name))
        task = background.run(asyncio.Event().wait(), name="waits")
        background.every(1000, asyncio.Event().wait, name="waits too")
        await asyncio.wait((task,), timeout=0)
        await background.close()
        assert task.cancelled()
        assert died == []
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


async def _all(done, count):
    return all(number >= count for number in done.values())


async def _told(died):
    return len(died) == 2
