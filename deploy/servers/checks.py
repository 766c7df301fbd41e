"""Does it answer? Real questions to real servers, each within half a second.

Written on sockets: the supervisor that asks imports no client, and must not wait long.
"""

import http.client
import json
import socket
import ssl
import struct

TIMEOUT_S = 0.5

_PROTOCOL_3 = 196608


def redis_answers(port: int, host: str = "127.0.0.1") -> bool:
    """PING, and a SET: a server that is loading or read-only is not ready."""
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.sendall(b"PING\r\nSET fleetline:ready 1 EX 10\r\n")
            reply = b""
            while reply.count(b"\r\n") < 2:
                part = connection.recv(512)
                if not part:
                    return False
                reply += part
            return reply.startswith(b"+PONG\r\n+OK\r\n")
    except OSError:
        return False


def postgres_answers(port: int, user: str = "fleetline", host: str = "127.0.0.1") -> bool:
    """SELECT 1 in the database of the same name as `user`, which needs no password."""
    pairs = f"user\0{user}\0database\0{user}\0\0".encode()
    hello = struct.pack("!ii", len(pairs) + 8, _PROTOCOL_3) + pairs
    question = b"SELECT 1\0"
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.sendall(hello)
            if not _until_ready(connection, want=b"R"):
                return False
            connection.sendall(b"Q" + struct.pack("!i", len(question) + 4) + question)
            answered = _until_ready(connection, want=b"D")
            connection.sendall(b"X" + struct.pack("!i", 4))
            return answered
    except OSError:
        return False


def _until_ready(connection: socket.socket, want: bytes) -> bool:
    """Read messages up to ReadyForQuery; whether one of kind `want` was among them."""
    seen = False
    with connection.makefile("rb") as stream:
        while True:
            head = stream.read(5)
            if len(head) < 5 or head[:1] == b"E":
                return False
            stream.read(struct.unpack("!i", head[1:])[0] - 4)
            seen = seen or head[:1] == want
            if head[:1] == b"Z":
                return seen


def http_answers(host: str, port: int, path: str, *, tls: bool = False) -> bool:
    """GET gives 200."""
    return fetch_json(host, port, path, tls=tls) is not None


def fetch_json(host: str, port: int, path: str, *, tls: bool = False) -> dict[str, object] | None:
    """The object that GET gives with a 200 (empty if the body is none), else None."""
    connection = http.client.HTTPConnection(host, port, timeout=2 * TIMEOUT_S)
    if tls:
        # Our own server, by an address that its certificate does not name.
        anyone = ssl._create_unverified_context()  # noqa: S323
        connection = http.client.HTTPSConnection(host, port, timeout=2 * TIMEOUT_S, context=anyone)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(1_048_576)
        if response.status != 200:
            return None
        found = json.loads(body)
    except (OSError, http.client.HTTPException):
        return None
    except ValueError:
        return {}
    finally:
        connection.close()
    return found if isinstance(found, dict) else {}


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True
