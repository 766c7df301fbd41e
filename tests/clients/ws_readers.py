"""Many healthy customers in one process: `python -m tests.clients.ws_readers PORT COUNT`.

Reads whatever comes on all its sockets, as cheaply as Python can, so that what is measured is
the server. Prints `up` when all are connected; at the end of its standard input, one JSON list
with a pair for each frame: the number of its event, and the monotonic time it was read.
"""

import json
import re
import selectors
import socket
import sys
import time

_LATITUDE = re.compile(rb'"latitude":([0-9.]+)')
_UPGRADE = (
    b"GET /api/v1/drivers/orders/o1/driver-location HTTP/1.1\r\nHost: localhost\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(_UPGRADE)
    head = sock.recv(4096)
    if b" 101 " not in head:
        raise RuntimeError(repr(head))
    sock.setblocking(False)
    return sock


def main(port: int, count: int) -> None:
    """Connect, read until standard input ends, report."""
    arrivals: list[tuple[int, float]] = []
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        for _ in range(count):
            selector.register(_connect(port), selectors.EVENT_READ)
        sys.stdout.write("up\n")
        sys.stdout.flush()
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    sys.stdout.write(json.dumps(arrivals))
                    return
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(65_536)
                if not data:
                    selector.unregister(key.fileobj)
                now = time.monotonic()
                numbers = (float(latitude) - 10 for latitude in _LATITUDE.findall(data))
                arrivals += ((round(number * 1e5), now) for number in numbers)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
