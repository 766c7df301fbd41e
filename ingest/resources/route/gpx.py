"""A route as GPX 1.1. Pure.

GPX itself knows place, height and time. The rest of a fix stands in `<extensions>` under a
namespace of ours and in the API's units, so that nothing is lost on the way back through
`fleetline replay`.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from xml.sax.saxutils import escape

from common.ids import is_id
from ingest.resources.route.page import PageFacts, Row, time_texts

# Names our elements; it leads nowhere, and stays as it is: files that were exported have it.
NAMESPACE = "urn:fleetline:gpx:1"
# Columns that GPX has no element for, and their names in our namespace. A `speed` without a unit
# would be read as metres a second, as everywhere else in GPX.
ELEMENTS = {
    "speed": "speed_kmh",
    "heading": "heading",
    "accuracy": "accuracy",
    "battery": "battery",
    "order_id": "order_id",
}
# No fix for longer than this ends a segment: the way in between is not known. As trips have it.
GAP_S = 900

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<gpx version="1.1" creator="Fleetline" xmlns="http://www.topografix.com/GPX/1/1"'
    f' xmlns:fl="{NAMESPACE}">\n'
)
# Characters that no XML document can hold, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class GpxWriter:
    """One track; a new segment where nothing came for more than GAP_S."""

    def __init__(self, driver_id: str) -> None:
        self._driver_id = text(driver_id)
        self._pieces: list[bytes] = []
        self._last: datetime | None = None

    def add(self, rows: Sequence[Row]) -> None:
        """Format the next rows."""
        parts = []
        times = [row["recorded_at"] for row in rows]
        for row, when, time in zip(rows, times, time_texts(times), strict=True):
            if self._last is not None and (when - self._last).total_seconds() > GAP_S:
                parts.append("</trkseg><trkseg>\n")
            self._last = when
            parts.append(_point(row, time))
        self._pieces.append("".join(parts).encode())

    def finish(self, page: PageFacts) -> bytes:
        """The body of the answer. What the page is stands in its metadata."""
        more = "" if page.next_cursor is None else f", more follow (cursor {page.next_cursor})"
        start, end = time_texts((page.start, page.end))
        says = f"Fixes of {self._driver_id} from {start} to {end}: {page.count}{more}"
        head = (
            f"{HEAD}<metadata><desc>{says}</desc></metadata>\n"
            f"<trk><name>{self._driver_id}</name>"
            f"<extensions><fl:driver_id>{self._driver_id}</fl:driver_id></extensions><trkseg>\n"
        )
        return b"".join((head.encode(), *self._pieces, b"</trkseg></trk></gpx>\n"))


def _point(row: Row, time: str) -> str:
    altitude = row["altitude"]
    height = "" if altitude is None else f"<ele>{decimal(altitude)}</ele>"
    rest = "".join(
        f"<fl:{element}>{text(value) if isinstance(value, str) else value}</fl:{element}>"
        for column, element in ELEMENTS.items()
        if (value := row[column]) is not None
    )
    extensions = f"<extensions>{rest}</extensions>" if rest else ""
    longitude = row["longitude"]
    return (
        # GPX counts longitudes up to 180 and not to it.
        f'<trkpt lat="{decimal(row["latitude"])}" '
        f'lon="{decimal(longitude if longitude < 180 else -180.0)}">'
        f"{height}<time>{time}</time>{extensions}</trkpt>\n"
    )


def decimal(value: float) -> str:
    """An xsd:decimal, which has no exponent: exactly the number that `value` is read from."""
    shortest = repr(value)
    return shortest if "e" not in shortest else format(Decimal(shortest), "f")


def text(value: str) -> str:
    """Character data: ids need no escape, what else may stand in an old row gets it."""
    return value if is_id(value) else escape(_NOT_XML.sub("\ufffd", value))
