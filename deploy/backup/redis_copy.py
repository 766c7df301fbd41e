"""A copy of Redis over the network, as a replica takes it, and where a server finds it again.

SYNC gives all keys of one moment, streams with their groups and what these have not acknowledged,
from any Redis that lets us replicate. The server writes it in a child process, and serves on.
https://valkey.io/topics/replication/, https://valkey.io/topics/persistence/
"""

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from common.errors import FleetlineError, words_of
from common.redis.client import new_client
from common.redis.place import parse_place

# While the server writes its copy it says that it lives every repl-ping-replica-period (10 s).
TIMEOUT_S = 60.0
# It answers with the length of the copy, after line feeds while it makes it.
_LINE_MAX = 4096
_PIECE = 1 << 20
# The server's own names: a base file, which may be an RDB file, and the list that names it.
_FOLDER = "appendonlydir"
_BASE = "appendonly.aof.1.base.rdb"
_LIST = "appendonly.aof.manifest"


def copy_redis(url: str, file: Path, advanced: Callable[[int, int], None]) -> int:
    """Write the RDB file; its size. `advanced` hears bytes so far and in all.

    Raises `FleetlineError` when Redis refuses or breaks off.
    """
    if parse_place(url).is_cluster:
        raise FleetlineError("Redis gave no copy: of a cluster each primary is copied by itself")
    client = new_client(url, decode=False, timeout_s=TIMEOUT_S)
    try:
        connection = client.connection_pool.get_connection()
        try:
            with contextlib.suppress(redis.ResponseError):
                # Or else the server would gather for us what is written from now on.
                connection.send_command("REPLCONF", "rdb-only", "1")
                connection.read_response()
            connection.send_command("SYNC")
            return _receive(connection._sock, file, advanced)
        finally:
            connection.disconnect()
    except (redis.RedisError, OSError) as e:
        raise FleetlineError(f"Redis gave no copy: {words_of(e)}") from e
    finally:
        client.close()


def _receive(sock: socket.socket, file: Path, advanced: Callable[[int, int], None]) -> int:
    line, rest = _first_line(sock)
    if not line.startswith(b"$") or not line[1:].isdigit():
        raise FleetlineError(f"Redis gave no copy: {line.decode(errors='replace')}")
    total, done = int(line[1:]), 0
    with file.open("xb") as out:
        piece: Any = rest
        while True:
            out.write(piece[: total - done])
            done = min(total, done + len(piece))
            advanced(done, total)
            if done == total:
                return total
            piece = sock.recv(_PIECE)
            if not piece:
                raise FleetlineError(f"Redis gave no copy: it broke off at {done} of {total} bytes")


def _first_line(sock: socket.socket) -> tuple[bytes, bytes]:
    read = b""
    while b"\n" not in read.lstrip(b"\n"):
        piece = sock.recv(_LINE_MAX)
        if not piece or len(read) > _LINE_MAX:
            raise FleetlineError("Redis gave no copy: it said nothing")
        read = read.lstrip(b"\n") + piece
    line, _, rest = read.lstrip(b"\n").partition(b"\n")
    return line.rstrip(b"\r"), rest


def lay_out(copy: Path, data: Path) -> None:
    """Make a copy the base of the append-only log in a server's empty folder `data`.

    A server with appendonly on reads nothing but that log: a dump.rdb it would pass over.
    """
    folder = data / _FOLDER
    folder.mkdir(parents=True, mode=0o700)
    with copy.open("rb") as source, (folder / _BASE).open("xb") as out:
        while piece := source.read(_PIECE):
            out.write(piece)
    (folder / _LIST).write_text(f"file {_BASE} seq 1 type b\n")
