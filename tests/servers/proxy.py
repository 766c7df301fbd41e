"""A TCP proxy that can go deaf: connections stay open and nothing passes, as on a bad network."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator


class Proxy:
    """Forwards to one address. `pass_bytes` cleared: a black hole; `cut`: a dead network."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        # Cleared: what arrives is read and thrown away, on old connections; new ones are held.
        self.passing = asyncio.Event()
        self.passing.set()
        self.accepted = 0
        # What the far side answers comes so much later, in its order.
        self.delay_s = 0.0

    async def start(self, listening: socket.socket | None = None) -> None:
        """Listen on a free port, or with what listens already."""
        if listening is None:
            listening = socket.create_server(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._accept, sock=listening)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def black_hole(self) -> None:
        """From now on nothing passes on any connection made so far, for ever."""
        self.passing.clear()
        self.passing = asyncio.Event()
        self.passing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        passing = self.passing
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for pump in (
            self._pump(reader, far_writer, passing),
            self._answer(far_reader, writer, passing),
        ):
            task = asyncio.create_task(pump)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        """Pump, each piece `delay_s` late."""
        loop, due = asyncio.get_running_loop(), 0.0
        late = asyncio.StreamReader()
        pumping = asyncio.create_task(self._pump(late, writer, passing))
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65_536):
                    # Never the same moment twice: timers of one moment have no order.
                    due = max(due + 1e-6, loop.time() + self.delay_s)
                    loop.call_at(due, late.feed_data, data)
            loop.call_at(max(due + 1e-6, loop.time()), late.feed_eof)
            await pumping
        finally:
            pumping.cancel()

    @staticmethod
    async def _pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if passing.is_set():
                    writer.write(data)
                    await writer.drain()
        if passing.is_set():
            writer.close()


@contextlib.asynccontextmanager
async def proxy_to(port: int, host: str = "127.0.0.1") -> AsyncIterator[Proxy]:
    """A proxy for the block."""
    proxy = Proxy(host, port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
