"""Takes webhooks in a process of its own, and notes how long after its fix each one came.

Reads its plan (JSON) from standard input, says `ready`, forgets what has come so far at the next
line, and at the one after it writes what it saw as one line of JSON.
"""

import array
import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime

from bench.load.percentiles import histogram, summary
from common.processes.process import die_with_parent

_OK = b"HTTP/1.1 204 No Content\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to listen."""

    port: int


@dataclass(slots=True)
class Report:
    """What came. Latencies (ms) are from `recorded_at` of the fix that caused it."""

    hooks: int
    latency_ms: dict[str, float]
    histogram: list[int]


class HookTaker(asyncio.Protocol):
    """One connection of the sender."""

    def __init__(self, ages_ms: "array.array[float]") -> None:
        self._ages_ms = ages_ms
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The sender has come."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        now = time.time()
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            begin = head.index(_LENGTH) + len(_LENGTH)
            whole = end + 4 + int(head[begin:].split(b"\r\n", 1)[0])
            if len(self._data) < whole:
                return
            recorded_at = json.loads(self._data[end + 4 : whole])["recorded_at"]
            self._ages_ms.append((now - datetime.fromisoformat(recorded_at).timestamp()) * 1000)
            self._data = self._data[whole:]
            if self._transport is not None:
                self._transport.write(_OK)


async def _main() -> None:
    plan = Plan(**json.loads(sys.stdin.readline()))
    ages_ms = array.array("d")
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: HookTaker(ages_ms), "127.0.0.1", plan.port)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    del ages_ms[:]
    await loop.run_in_executor(None, sys.stdin.readline)
    report = Report(len(ages_ms), summary(ages_ms), histogram(ages_ms))
    print(json.dumps(asdict(report)), flush=True)


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(_main())
