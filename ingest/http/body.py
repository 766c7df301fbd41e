"""Bodies, read with a cap and a deadline, since Granian has neither.

Granian says "more to come" even after the last byte. So where Content-Length says that the first
event is the whole body nothing else is awaited: one event loop turn and one thread crossing less
on the hot path.
"""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic

import falcon
import falcon.asgi

from ingest.http.body_deadlines import Awaited, BodyDeadlines, Event

Receive = Callable[[], Awaited]

SCOPE_KEY = "fleetline.body"
JSON = "application/json"
GEOJSON = "application/geo+json"
# A body that took longer to come is one whose sender may have been shut out meanwhile.
SLOW_AFTER_S = 1.0
# An answer that leaves a body unread ends its connection, and what shares that connection behind a
# proxy with it. So up to the largest body that is ever taken, and for this long, it is read and
# dropped first; past that the answer says that the connection ends.
DRAIN_BYTES_MAX = 1_048_576
DRAIN_TIMEOUT_S = 1.0
_UNREAD: Event = {}
# A first event that says nothing: more is to come, or came too late.
_NOTHING: Event = {"type": "http.request", "body": b"", "more_body": True}


class Body:
    """The body of one request, and the `receive` that Falcon calls for it."""

    __slots__ = ("_deadlines", "_ended", "_receive", "_size", "begun_at", "first", "late")

    def __init__(self, receive: Receive, deadlines: BodyDeadlines) -> None:
        self._receive = receive
        self._deadlines = deadlines
        self.begun_at = monotonic()
        self.late = False
        self.first: Event = _UNREAD
        # Bytes that have come since the first event, and whether there are no more.
        self._size = 0
        self._ended = False

    async def __call__(self) -> Event:
        """What Falcon is given as a first event, before it routes: nothing of the body.

        A sender is refused for who it is without its body. Nor is Falcon told that the sender is
        gone, as Granian says of a broken chunk: it would answer nothing at all then, and Granian
        500 in its place.
        """
        return _NOTHING

    async def begin(self) -> bytes:
        """Wait for the first event; what it holds of the body. May be called again."""
        if self.first is _UNREAD:
            awaited = self._receive()
            self._deadlines.add(self, awaited)
            try:
                self.first = await awaited
            except asyncio.CancelledError:
                if not self.late:
                    raise
                self.first = _NOTHING
            finally:
                self._deadlines.waiting.pop(self, None)
        part: bytes = self.first.get("body", b"")
        return part

    @property
    def slow(self) -> bool:
        """Whether it took so long that its sender has to be looked at again."""
        return monotonic() - self.begun_at > SLOW_AFTER_S

    async def rest(self, bytes_max: int) -> bytes:
        """Everything from the first event on, up to `bytes_max`."""
        await self.begin()
        event, parts = self.first, []
        try:
            async with asyncio.timeout(self.begun_at + self._deadlines.timeout_s - monotonic()):
                while True:
                    self._note(event)
                    if event["type"] != "http.request":
                        raise falcon.HTTPBadRequest(
                            description="the body ended early, or is not well-formed"
                        )
                    if self._size > bytes_max:
                        raise too_large(bytes_max)
                    parts.append(event.get("body", b""))
                    if self.late:
                        raise TimeoutError
                    if self._ended:
                        return b"".join(parts)
                    event = await self._receive()
        except TimeoutError as e:
            raise falcon.HTTPError(
                408, description=f"the body did not arrive within {self._deadlines.timeout_s:g} s"
            ) from e

    async def left(self) -> None:
        """Wait until the client is gone; only once the whole body has come."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def drain(self, length: int | None) -> bool:
        """Read and drop what is left of a body of `length` bytes (None: unknown); whether it ended.

        Stops at `DRAIN_BYTES_MAX` and `DRAIN_TIMEOUT_S`.
        """
        if self.late or (length is not None and length > DRAIN_BYTES_MAX):
            return False
        if not self._size and self.first is not _UNREAD and self.first is not _NOTHING:
            self._note(self.first)
        if self._is_whole(length):
            # The usual case; a timer costs more than all of this.
            return True
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                while not self._is_whole(length) and self._size <= DRAIN_BYTES_MAX:
                    event = await self._receive()
                    if event["type"] != "http.request":
                        return False
                    self._note(event)
        except TimeoutError:
            return False
        return self._is_whole(length)

    def _is_whole(self, length: int | None) -> bool:
        return self._ended or self._size == length

    def _note(self, event: Event) -> None:
        self._size += len(event.get("body", b""))
        self._ended = event["type"] == "http.request" and not event.get("more_body", False)


async def read_json(req: falcon.asgi.Request, bytes_max: int) -> bytes:
    """The body of `req`, which says it is JSON or says nothing.

    Raises Falcon's errors: 415, 413, 408, 400 (also for what is not UTF-8).
    """
    if req.content_type not in (None, JSON):
        require_json(req.content_type)
    data = await read_any(req, bytes_max)
    if not (data.isascii() or is_utf8(data)):
        raise falcon.HTTPBadRequest(description="the body is not JSON: it is not UTF-8")
    return data


def is_utf8(data: bytes) -> bool:
    """Whether `data` is UTF-8, as JSON must be. What reads JSON does not look at what it skips."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


async def read_any(req: falcon.asgi.Request, bytes_max: int) -> bytes:
    """The body of `req`, whatever it says it is. Raises Falcon's errors: 413, 408, 400."""
    body: Body = req.scope[SCOPE_KEY]
    length = req.content_length
    if length is not None:
        if length > bytes_max:
            raise too_large(bytes_max)
        data = await body.begin()
        if len(data) == length:
            return data
    return await body.rest(bytes_max)


def announced_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Bytes of body that a request's headers announce; None where they come in chunks."""
    length: int | None = 0
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            return None
    return length


def has_body(req: falcon.asgi.Request) -> bool:
    """Whether `req` announces a body, of known length or not."""
    return bool(req.content_length) or req.get_header("transfer-encoding") is not None


def too_large(bytes_max: int) -> falcon.HTTPContentTooLarge:
    """The refusal of a body that is too long."""
    return falcon.HTTPContentTooLarge(description=f"the body may have {bytes_max} bytes at most")


def require_json(content_type: str | None, *others: str) -> None:
    """Raise 415 unless `content_type` says that a body is JSON, or one of `others`."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != JSON and media_type not in others:
        raise falcon.HTTPUnsupportedMediaType(description=f"the body must be {JSON}")
