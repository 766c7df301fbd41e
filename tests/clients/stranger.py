"""Another user of the machine, who tries a running stack: `python -m tests.clients.stranger`.

Standard input is a JSON object: ports, and the paths and pids that somebody told. What succeeded
is printed as JSON. Started as root it gives that up first, before it tries anything.
"""

import asyncio
import contextlib
import encodings.idna  # noqa: F401 - loaded while it may still read it
import fcntl
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import asyncpg

STRANGER = 65_534
NEW = "left-by-a-stranger"
# What is tried of a process.
WHAT = ("environ", "maps", "fd", "signal")


def databases(port: int) -> list[str]:
    """Users and databases that let a stranger in, with no password and with a guess."""
    entered = []

    async def enter(user: str, database: str, password: str | None) -> None:
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            connection = await asyncpg.connect(
                host="127.0.0.1", port=port, user=user, database=database, password=password,
                timeout=5,
            )  # fmt: skip
            entered.append(f"{user}@{database}")
            await connection.close()

    async def enter_all() -> None:
        for user in ("postgres", "fleetline"):
            for database in ("postgres", "fleetline", "template1"):
                for password in (None, user):
                    await enter(user, database, password)

    asyncio.run(enter_all())
    return entered


def stores(port: int) -> list[str]:
    """Commands that Redis obeys. On a socket: a client would load half of itself only here."""
    obeyed = []
    for command in ("PING", "HSET fleetline:{access}:keys x y", "CONFIG GET dir", "AUTH fleetline"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"{command}\r\n".encode())
            if not connection.recv(512).startswith(b"-"):
                obeyed.append(command)
    return obeyed


def files(paths: list[str]) -> dict[str, list[str]]:
    """What can be read, listed and written."""
    done: dict[str, list[str]] = {"read": [], "listed": [], "written": [], "locked": []}
    for path in map(Path, paths):
        attempts = {
            "listed": lambda path=path: list(path.iterdir()),
            "read": lambda path=path: path.is_dir() or path.read_bytes(),
            "written": lambda path=path: _write(path),
            "locked": lambda path=path: _lock(path),
        }
        for kind, attempt in attempts.items():
            with contextlib.suppress(OSError):
                if attempt() is not True:
                    done[kind].append(str(path))
    return done


def _write(path: Path) -> Any:
    if path.is_dir():
        return (path / NEW).touch()
    return path.open("ab").close()


def _lock(path: Path) -> Any:
    if path.name != "lock":
        return True
    with path.open() as lock:
        return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def processes(pids: list[int]) -> list[str]:
    """What of the processes can be read or stopped."""
    reached = []
    for pid in pids:
        for name in WHAT[:3]:
            with contextlib.suppress(OSError):
                path = Path(f"/proc/{pid}/{name}")
                list(path.iterdir()) if name == "fd" else path.read_bytes()
                reached.append(f"{pid} {name}")
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            reached.append(f"{pid} signal")
    return reached


def main() -> None:
    """Try everything."""
    told = json.load(sys.stdin)
    os.setgroups([])
    os.setresgid(STRANGER, STRANGER, STRANGER)
    os.setresuid(STRANGER, STRANGER, STRANGER)
    tried = {
        "postgres": databases(told["postgres_port"]),
        "redis": stores(told["redis_port"]),
        "processes": processes(told["pids"]),
        **files(told["paths"]),
    }
    json.dump(tried, sys.stdout)


if __name__ == "__main__":
    main()
