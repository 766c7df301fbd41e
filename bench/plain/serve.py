"""The plain design's server: a fix in with one XADD, frames out by Pub/Sub.

One subscriber for each order, shared by its sockets, as a careful author would do it; the log of
requests is off.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Path, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field
from redis.asyncio import Redis

from common.processes.process import die_with_parent

STREAM = "plain:locations"


class Update(BaseModel):
    """What a driver sends."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    speed: float | None = Field(None, ge=0)
    heading: float | None = Field(None, ge=0, le=360)
    accuracy: float | None = Field(None, ge=0)
    order_id: str | None = None
    recorded_at: datetime | None = None


class Accepted(BaseModel):
    """What he gets."""

    status: str = "accepted"
    message_id: str
    recorded_at: datetime


class Sockets:
    """Who watches which order, and one Pub/Sub connection for all."""

    def __init__(self, redis: Any) -> None:
        self._pubsub = redis.pubsub()
        self._watching: dict[str, set[WebSocket]] = {}
        # Two that subscribe at once would each open a connection, and one be forgotten.
        self._turn = asyncio.Lock()

    async def join(self, channel: str, socket: WebSocket) -> None:
        """Begin to watch."""
        watching = self._watching.setdefault(channel, set())
        watching.add(socket)
        if len(watching) == 1:
            async with self._turn:
                await self._pubsub.subscribe(channel)

    async def leave(self, channel: str, socket: WebSocket) -> None:
        """Watch no more."""
        watching = self._watching.get(channel, set())
        watching.discard(socket)
        if not watching:
            self._watching.pop(channel, None)
            async with self._turn:
                await self._pubsub.unsubscribe(channel)

    async def deliver(self) -> None:
        """Hand on what is published."""
        while True:
            # It ends when nothing is subscribed.
            async for message in self._pubsub.listen():
                if message["type"] != "message":
                    continue
                text = '{"type":"location_update","data":' + message["data"].decode() + "}"
                for socket in tuple(self._watching.get(message["channel"].decode(), ())):
                    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                        await socket.send_text(text)
            await asyncio.sleep(0.05)


redis: Any = Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))
sockets = Sockets(redis)


@contextlib.asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Deliver while the server runs."""
    delivering = asyncio.create_task(sockets.deliver())
    yield
    delivering.cancel()
    await redis.aclose()


app = FastAPI(lifespan=lifespan)
DriverId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]


@app.post("/api/v1/drivers/{driver_id}/location", status_code=202)
async def take(driver_id: DriverId, update: Update) -> Accepted:
    """Put a fix into the stream."""
    now = datetime.now(UTC)
    recorded_at = update.recorded_at or now
    fields = update.model_dump(exclude_none=True, exclude={"recorded_at"})
    fields |= {
        "driver_id": driver_id,
        "recorded_at": recorded_at.isoformat(),
        "received_at": now.isoformat(),
    }
    message_id = await redis.xadd(STREAM, fields)
    return Accepted(message_id=message_id.decode(), recorded_at=recorded_at)


@app.get("/api/v1/drivers/{driver_id}/location")
async def show(driver_id: DriverId) -> dict[str, str]:
    """Whether it is up; positions are not what is compared."""
    return {"driver_id": driver_id}


@app.websocket("/api/v1/drivers/orders/{order_id}/driver-location")
async def watch(socket: WebSocket, order_id: str) -> None:
    """Show an order's driver."""
    await socket.accept()
    channel = f"order:{order_id}"
    await sockets.join(channel, socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        await sockets.leave(channel, socket)


if __name__ == "__main__":
    die_with_parent()
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        # httptools where it is installed.
        http="auto",
        access_log=False,
        log_level="warning",
        backlog=4096,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
