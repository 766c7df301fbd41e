"""Rows of a CSV file with a heading, by known names of columns or a map of them. Pure."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from common.errors import ConfigError
from common.log import printable
from deploy.tools.trace.fix import FIELDS, REQUIRED, Row
from deploy.tools.trace.trace import CutShort

# Names that recorded traces use, in lower case; the first that is there is taken.
ALIASES = {
    "driver_id": (
        *("driver_id", "vehicle_id", "driver", "vehicle", "device_id", "deviceid", "tracker"),
    ),
    "order_id": ("order_id", "trip_id", "order", "trip"),
    "recorded_at": (
        *("recorded_at", "timestamp", "time", "datetime", "fixtime", "devicetime", "t"),
    ),
    "latitude": ("latitude", "lat", "y"),
    "longitude": ("longitude", "lng", "lon", "long", "x"),
    "heading": ("heading", "bearing", "course"),
    "speed": ("speed",),
    "speed_kmh": ("speed_kmh",),
    "accuracy": ("accuracy", "hdop_m"),
    "altitude": ("altitude", "ele", "elevation"),
    "battery": ("battery",),
}
DELIMITERS = ",;\t|"
# A heading that is shown when a column is missing; of a file that is no table it is its beginning.
HEADING_CHARS_MAX = 200


def parse_columns(text: str) -> dict[str, str]:
    """The map of `--columns`: field=column pairs with commas between. Raises `ConfigError`."""
    chosen = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, column = pair.partition("=")
        if not equals or name not in FIELDS or not column:
            raise ConfigError(
                f"--columns: {pair!r} is not FIELD=COLUMN; fields: {', '.join(FIELDS)}"
            )
        chosen[name] = column
    return chosen


def csv_rows(text: str, columns: Mapping[str, str]) -> Iterator[Row]:
    """Rows in file order; `columns` (field to column) wins over the known names.

    A file without a column for the driver is of one device. Raises `ConfigError` when another
    column is missing, `CutShort` where the table cannot be read further.
    """
    text = text.lstrip("\n\r")
    first, _, rest = text.partition("\n")
    delimiter = None
    if first.lower().startswith("sep=") and len(first.strip()) == len("sep=") + 1:
        # Excel's own way to say it.
        delimiter, text = first[len("sep=")], rest
    # No newline argument: line ends of all systems become one.
    lines = io.StringIO(text, newline=None)
    heading = text.splitlines()[0] if text else ""
    table = csv.DictReader(
        lines, delimiter=delimiter or max(DELIMITERS, key=heading.count), skipinitialspace=True
    )
    names = _names(table.fieldnames or (), columns, heading)
    try:
        for row in table:
            yield {field: row.get(column) for field, column in names.items()}
    except csv.Error as e:
        raise CutShort(f"CSV: line {table.line_num}: {e}") from e


def _names(
    fieldnames: Sequence[str],
    columns: Mapping[str, str],
    heading: str,
) -> dict[str, str]:
    """The column of each field that the table has."""
    known = {name.lower().strip(): name for name in fieldnames}
    names = {}
    for field, aliases in ALIASES.items():
        wanted = (columns[field].lower(),) if field in columns else aliases
        column = next((known[name] for name in wanted if name in known), None)
        if column is not None:
            names[field] = column
        elif field in columns or (field in REQUIRED and field != "driver_id"):
            raise ConfigError(
                f"CSV: no column for {field}; use --columns {field}=…, "
                f"of: {printable(heading.strip()[:HEADING_CHARS_MAX])}"
            )
    return names
