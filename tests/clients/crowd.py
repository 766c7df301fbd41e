"""Visitors who take every place of a fan-out, and only stay."""

import http.client
import socket
from types import TracebackType
from typing import Self

from tests.stack import Stack

PATH = "/api/v1/drivers/orders/{}/driver-location"


class Crowd:
    """Fills the fan-out until it says that it is full. Use as a context; leaving makes room."""

    def __init__(self, stack: Stack, order_id: str, *tokens: str) -> None:
        self.sockets: list[socket.socket] = []
        self._address = ("127.0.0.1", stack.fanout_port)
        self._path = PATH.format(order_id)
        self._tokens = tokens

    def __enter__(self) -> Self:
        for token in self._tokens:
            while (entered := self._enter(token)) is not None:
                self.sockets.append(entered)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Make room."""
        while self.sockets:
            self.sockets.pop().close()

    def _enter(self, token: str) -> socket.socket | None:
        """One more socket, or None when there is no place, for this token or at all."""
        connection = http.client.HTTPConnection(*self._address, timeout=5)
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
            "Authorization": f"Bearer {token}",
        }
        connection.request("GET", self._path, headers=headers)
        sock = connection.sock
        status = int(sock.recv(4096).split()[1])
        if status == 101:
            return sock
        connection.close()
        assert status in (429, 503), status
        return None
