"""Replies of Redis that never arrive: 503 in time, never a false 202, and each fix once."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial

from common.keys import shard_keys
from tests.entries import fixes_in
from tests.faults.caller import Caller
from tests.roles.shard import shard, worker_settings, working
from tests.servers.ingest_server import IngestServer
from tests.servers.proxy import Proxy
from tests.wait import until

ROUNDS = 2
AT_ONCE = 20


class Swallower(Proxy):
    """Lets commands through; while `swallowing` no reply comes back."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.swallowing = asyncio.Event()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        for one, other, replies in ((reader, far_writer, False), (far_reader, writer, True)):
            task = asyncio.create_task(self._swallow(one, other, replies=replies))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _swallow(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool
    ) -> None:
        try:
            while data := await reader.read(65_536):
                if not (replies and self.swallowing.is_set()):
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        writer.close()


def test_swallowed_replies_are_503_in_time_and_retries_are_stored_once(one_server, database_url):
    """One shard, so that its worker has all of them."""
    servers = one_server.url, database_url
    base = datetime.now(UTC)

    async def post(port: int, number: int) -> tuple[int, float]:
        body = {
            "latitude": 1.0,
            "longitude": 2.0,
            "recorded_at": (base + timedelta(microseconds=number)).isoformat(),
        }
        caller = Caller(port)
        answer = await caller.post("/api/v1/drivers/d1/location", body)
        caller.close()
        assert answer is not None
        return answer.status, answer.took_s

    async def accepted(port: int, number: int) -> bool:
        return (await post(port, number))[0] == 202

    async def main(it, server: IngestServer, proxy: Swallower) -> None:
        await until(lambda: accepted(server.port, 0))
        number = 0
        for _ in range(ROUNDS):
            proxy.swallowing.set()
            numbers = range(number + 1, number + 1 + AT_ONCE)
            answers = await asyncio.gather(*(post(server.port, n) for n in numbers))
            assert {status for status, _ in answers} == {503}
            assert max(took_s for _, took_s in answers) < 2
            proxy.swallowing.clear()
            for number in numbers:
                await until(partial(accepted, server.port, number))
        # Each arrived at least once; what had left when replies stopped, twice: nobody could know.
        stream = shard_keys("driver-locations", 0, 1).stream
        assert fixes_in(one_server, stream) > ROUNDS * AT_ONCE + 1
        async with working(worker_settings(*servers, shards=1)):
            await it.stored(ROUNDS * AT_ONCE + 1)
        assert await it.count() == ROUNDS * AT_ONCE + 1

    async def run() -> None:
        proxy = Swallower("127.0.0.1", one_server.port)
        await proxy.start()
        url = f"redis://127.0.0.1:{proxy.port}"
        server = IngestServer(REDIS_URL=url, SHARDS="1")
        # Its thread must outlive it: the kernel ends it with the thread that started it.
        try:
            await asyncio.to_thread(server.start)
            began_s = time.monotonic()
            async with shard(*servers, shards=1) as it:
                await main(it, server, proxy)
            assert time.monotonic() - began_s < 30
        finally:
            await asyncio.to_thread(server.stop)
            await proxy.stop()

    asyncio.run(run())
