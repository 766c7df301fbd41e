"""A refused body is read to its end before the answer leaves.

A server that answers and closes while its client still sends resets the connection: the answer is
lost (the front door says 503 in its place), and so may be another client's request, for which the
front door takes the same connection a moment later.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ingest.http.body import Body

Event = dict[str, Any]
Send = Callable[[Event], Awaitable[None]]

_CLOSE = (b"connection", b"close")


def draining(send: Send, body: Body, headers: Iterable[tuple[bytes, bytes]]) -> Send:
    """`send` for a request with these headers; the one that was handed in if it has no body."""
    named = dict(headers)
    length = int(named.get(b"content-length", b"0"))
    chunked = b"transfer-encoding" in named
    if not length and not chunked:
        return send

    async def drain_and_send(event: Event) -> None:
        if event["type"] == "http.response.start":
            whole = await body.drain(None if chunked else length)
            if not whole and _CLOSE not in event["headers"]:
                event = {**event, "headers": [*event["headers"], _CLOSE]}
        await send(event)

    return drain_and_send
