"""Redis commands as bytes, and a socket that Redis takes them from."""

import socket
from collections.abc import Callable
from typing import Any

import hiredis

from common.redis.url import parse_redis_url

TIMEOUT_S = 20.0
# The stub means a tuple of any length.
pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command


def connect(url: str) -> socket.socket:
    """A socket on which the stack's Redis has let us in. Raises `OSError`, `ReplyError`."""
    address = parse_redis_url(url)
    sock = socket.create_connection((address.host, address.port), TIMEOUT_S)
    reader = hiredis.Reader()
    for command in address.greeting():
        sock.sendall(pack(command))
        while (reply := reader.gets()) is False:
            reader.feed(sock.recv(4096))
        if isinstance(reply, hiredis.ReplyError):
            sock.close()
            raise reply
    return sock
