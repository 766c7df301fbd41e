"""HTTP by the byte, for tests of what no client library would send."""

import contextlib
import re
import socket
from collections.abc import Mapping
from typing import NamedTuple


class Reply(NamedTuple):
    """The first answer on a connection; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def request(
    method: str,
    target: str | bytes,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    length: int | None = None,
    version: str = "HTTP/1.1",
) -> bytes:
    """A request that asks for the connection's end. `length` is stated in place of the body's."""
    fields = {"Host": "localhost", "Connection": "close", **(headers or {})}
    if method == "POST" and "Transfer-Encoding" not in fields:
        fields["Content-Length"] = str(len(body) if length is None else length)
    target = target.encode() if isinstance(target, str) else target
    lines = [f"{name}: {value}".encode("latin-1") for name, value in fields.items()]
    line = b"%b %b %b" % (method.encode(), target, version.encode())
    return b"\r\n".join([line, *lines, b"", b""]) + body


def exchange(port: int, raw: bytes, timeout_s: float = 10.0) -> Reply:
    """Send `raw`; the answer. Raises `OSError` when none came."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(raw)
        return read_reply(sock)


def read_reply(sock: socket.socket) -> Reply:
    """Read one answer, to its length or the connection's end. Raises `OSError` when none came."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while not _is_whole(answer) and (data := sock.recv(65_536)):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        raise ConnectionError("no answer")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return Reply(int(lines[0].split(" ")[1]), headers, body)


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: ([0-9]+)", head.lower())
    return bool(end) and length is not None and len(body) >= int(length[1])
