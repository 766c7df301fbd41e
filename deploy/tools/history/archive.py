"""`fleetline archive`: days of the history as Parquet files, checked before anything is dropped.

A file is complete or not there: it is written beside its name, read back, counted against the
database, made durable, and only then given its name. DuckDB reads the files as they are.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from rich.console import Console
from rich.progress import Progress

from common.databases.seat import ONLY, Seat
from common.errors import ConfigError, FleetlineError
from common.event import COLUMNS
from common.settings import Settings
from deploy.tools.history.retention import drop_day, folded_before

# Rows that are in memory at a time; also a row group, which readers skip as a whole.
ROWS_AT_ONCE = 50_000
TEXTS = frozenset({"driver_id", "order_id"})
TIMES = frozenset({"recorded_at", "received_at"})
_DAY = "recorded_at >= $1 AND recorded_at < $2"


def file_name(day: date, seat: Seat = ONLY) -> str:
    """The name of a day's file; each of several databases has its own."""
    part = "" if seat == ONLY else f"-{seat.number + 1}-of-{seat.databases}"
    return f"locations-{day:%Y%m%d}{part}.parquet"


def run(settings: Settings, before: date, folder: Path, *, drop: bool) -> int:
    """Write the days before a day, and drop them if asked to. Returns the exit status."""
    arrow()
    if drop:
        age_max = timedelta(seconds=settings.event_age_max_s)
        youngest = (datetime.now(UTC) - age_max).date()
        if before > youngest:
            raise ConfigError(
                f"--drop: fixes of {youngest} and later may still arrive (EVENT_AGE_MAX_S)"
            )
    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_run(settings, before, folder, drop=drop))


def arrow() -> Any:
    """pyarrow and its Parquet part. Raises `ConfigError` where it is not installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as e:
        raise ConfigError("archive needs pyarrow: pip install 'fleetline[archive]'") from e
    return pa


async def _run(settings: Settings, before: date, folder: Path, *, drop: bool) -> int:
    from deploy.tools.stack_database import stack_databases

    for seat in stack_databases(settings):
        await _archive(settings, seat, before, folder, drop=drop)
    return 0


async def _archive(
    settings: Settings, seat: Seat, before: date, folder: Path, *, drop: bool
) -> None:
    from deploy.tools.stack_database import stack_database

    console = Console(highlight=False)
    async with stack_database(settings, seat) as connection:
        days = [row[0] for row in await connection.fetch("SELECT fleetline_history_days()")]
        days = [day for day in days if day < before]
        folded = await folded_before(connection) if settings.insight == "on" else date.max
        for day in days:
            path = folder / file_name(day, seat)
            count = await write_day(connection, day, path, console)
            line = f"{path}: {count} fixes, {path.stat().st_size / 1e6:.1f} MB"
            if drop and day < folded:
                await drop_day(connection, day)
                line += ", dropped"
            elif drop:
                line += ", stays until trips and sums are computed from it"
            console.print(line, soft_wrap=True)
        if not days:
            console.print(f"nothing is older than {before}")


async def write_day(connection: asyncpg.Connection, day: date, path: Path, console: Console) -> int:
    """Write one day, or find it written; how many rows it has. Raises `FleetlineError`."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    span = (start, start + timedelta(days=1))
    wanted = await connection.fetchval(
        f"SELECT count(*) FROM locations WHERE {_DAY}",  # noqa: S608
        *span,
        timeout=600,
    )
    if rows_in(path) == wanted:
        return int(wanted)
    part = path.with_suffix(".part")
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(str(day), total=wanted)
        with _writer(part) as write:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                cursor = await connection.cursor(
                    f"SELECT {', '.join(COLUMNS)} FROM locations WHERE {_DAY}"  # noqa: S608
                    " ORDER BY driver_id, recorded_at",
                    *span,
                )
                while rows := await cursor.fetch(ROWS_AT_ONCE, timeout=600):
                    write(rows)
                    progress.advance(task, len(rows))
    written = rows_in(part)
    if written != wanted:
        part.unlink()
        raise FleetlineError(f"{day}: {wanted} fixes in the database, {written} in the file")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return written


def rows_in(path: Path) -> int:
    """Rows of a file, read back to the last one; -1 where it is none."""
    pyarrow = arrow()
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            return sum(len(batch) for batch in file.iter_batches(columns=["recorded_at"]))
    except (pyarrow.ArrowException, OSError):
        return -1


@contextmanager
def _writer(path: Path) -> Iterator[Any]:
    pyarrow = arrow()

    def kind(column: str) -> Any:
        if column in TEXTS:
            return pyarrow.string()
        return pyarrow.timestamp("us", tz="UTC") if column in TIMES else pyarrow.float64()

    schema = pyarrow.schema([(column, kind(column)) for column in COLUMNS])
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as file:

        def write(rows: list[Any]) -> None:
            columns = zip(*rows, strict=True)
            arrays = [
                pyarrow.array(values, type=field.type)
                for values, field in zip(columns, schema, strict=True)
            ]
            file.write_table(pyarrow.table(arrays, schema=schema))

        yield write
