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


def redis_answers(
    port: int, password: str, host: str = "127.0.0.1", *, writes: bool = True
) -> bool:
    """PING, and with `writes` a SET: a server that is loading or read-only is not ready."""
    setting = "SET fleetline:ready 1 EX 10" if writes else "CLIENT SETNAME up"
    asked = f"AUTH {password}\r\nPING\r\n{setting}\r\n"
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.sendall(asked.encode())
            reply = b""
            while reply.count(b"\r\n") < 3:
                part = connection.recv(512)
                if not part:
                    return False
                reply += part
            return reply.startswith(b"+OK\r\n+PONG\r\n+OK\r\n")
    except OSError:
        return False


def postgres_answers(port: int, user: str = "fleetline", host: str = "127.0.0.1") -> bool:
    """Whether it takes clients: it asks `user` for a password.

    One that starts, stops or recovers says an error before it asks, as `pg_isready` knows.
    """
    pairs = f"user\0{user}\0database\0{user}\0\0".encode()
    hello = struct.pack("!ii", len(pairs) + 8, _PROTOCOL_3) + pairs
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.sendall(hello)
            return connection.recv(1) == b"R"
    except OSError:
        return False


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


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((host, port), TIMEOUT_S).close()
    except OSError:
        return False
    return True


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
