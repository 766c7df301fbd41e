"""A file as a trace, by what it holds: GPX, JSON or CSV, in the encoding that it shows."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.errors import ConfigError
from common.ids import is_id
from deploy.tools.trace.exports import export_rows
from deploy.tools.trace.fix import KMH_PER, Row
from deploy.tools.trace.gpx import gpx_rows
from deploy.tools.trace.table import csv_rows, parse_columns
from deploy.tools.trace.trace import Trace, collect

# A GPX file is one person's; 100 MB of it are years.
TRACE_BYTES_MAX = 256 * 1_048_576
_DECLARED = re.compile(rb"\s*<\?xml[^>]{0,100}\sencoding=[\"']([A-Za-z0-9._-]{1,40})[\"']")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a file does not say itself. Raises `ConfigError` when a value is none."""

    # As in --columns.
    columns: str = ""
    # Whose all rows are; empty: as the file says, or else its name.
    driver: str = ""
    # One of KMH_PER; empty: the format's own, m/s in GPX, km/h elsewhere.
    speed_unit: str = ""

    def __post_init__(self) -> None:
        if self.speed_unit and self.speed_unit not in KMH_PER:
            raise ConfigError(f"--speed-unit: must be one of {', '.join(KMH_PER)}")
        if self.driver and not is_id(self.driver):
            raise ConfigError(f"--driver: {self.driver[:80]!r} is not 1-64 of A-Za-z0-9._:-")


def read_trace(path: Path, options: ReadOptions | None = None) -> Trace:
    """Read a file by its kind. Raises `ConfigError` when it is none or holds nothing."""
    try:
        if path.stat().st_size > TRACE_BYTES_MAX:
            raise ConfigError(f"{path}: larger than {TRACE_BYTES_MAX >> 20} MiB")
        raw = path.read_bytes()
    except OSError as e:
        raise ConfigError(f"{path}: {e.strerror}") from e
    try:
        trace = parse_trace(raw, path.stem, options or ReadOptions())
    except ConfigError as e:
        raise ConfigError(f"{path.name}: {e}") from e
    if trace.rows() == 0:
        raise ConfigError(f"{path.name}: holds no fixes")
    return trace


def parse_trace(raw: bytes, name: str, options: ReadOptions) -> Trace:
    """The trace in a file's bytes; `name` is the file's, without its extension.

    Raises `ConfigError` when they are none.
    """
    text = decode(raw).lstrip("\ufeff \t\r\n")
    rows: Iterator[Row]
    unit = options.speed_unit or "kmh"
    if text.startswith("<"):
        rows, unit = gpx_rows(text), options.speed_unit or "mps"
    elif text.startswith(("{", "[")):
        rows = export_rows(text)
    else:
        rows = csv_rows(text, parse_columns(options.columns))
    return collect(rows, driver=options.driver, name=id_of(name), kmh_per_unit=KMH_PER[unit])


def decode(raw: bytes) -> str:
    """A file's text. What is not in its encoding becomes U+FFFD: a name, as good as always."""
    encoding = "utf-8"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif match := _DECLARED.match(raw):
        try:
            declared = codecs.lookup(match[1].decode()).name
        except LookupError:
            declared = ""
        if declared.startswith(("iso8859", "cp125")):
            encoding = declared
    return raw.decode(encoding, "replace")


def id_of(name: str) -> str:
    """A driver's id out of a file's name."""
    text = "".join(c if c.isascii() and (c.isalnum() or c in "._:-") else "-" for c in name)[:64]
    # Dots alone are no id that a client could address.
    return text if text.strip(".") else "trace"
