"""Server frames out of a byte stream, and the time in them. Pure."""

from calendar import timegm
from time import strptime

TEXT, CLOSE, PING = 0x81, 0x88, 0x89
_MARK = b'"recorded_at":"'


def split(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Whole unmasked frames as (first byte, payload), and the bytes of one that is not whole."""
    frames = []
    at, total = 0, len(data)
    while total - at >= 2:
        size, body = data[at + 1], at + 2
        if size == 126:
            size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, body = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        if total < body + size or body > total:
            break
        frames.append((data[at], data[body : body + size]))
        at = body + size
    return frames, data[at:]


class Stamps:
    """Reads `recorded_at` of a frame as epoch seconds; whole seconds are remembered."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def read(self, payload: bytes) -> float | None:
        """The time, None where a frame has none."""
        at = payload.find(_MARK)
        if at < 0:
            return None
        at += len(_MARK)
        second = payload[at : at + 19]
        whole = self._known.get(second)
        if whole is None:
            whole = timegm(strptime(second.decode(), "%Y-%m-%dT%H:%M:%S"))
            self._known[second] = whole
        at += 19
        if payload[at : at + 1] != b".":
            return float(whole)
        end = at + 1
        while payload[end : end + 1].isdigit():
            end += 1
        return whole + float(payload[at:end])


def pong(payload: bytes) -> bytes:
    """A masked pong; the mask is zeros, which leaves the payload as it is."""
    return bytes((0x8A, 0x80 | len(payload))) + b"\0\0\0\0" + payload


def upgrade(path: str, host: str) -> bytes:
    """The handshake."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: YmVuY2gtYmVuY2gtYmVuYw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
