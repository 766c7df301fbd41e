"""Track points of a GPX 1.0 or 1.1 file as rows. Pure.

A point's own children say what it is. From its `<extensions>` comes only what GPX has no element
for, in our own namespace, or what a point lacks and extensions commonly carry (speed and course):
whatever else stands there, a photo's time or a height model's height, is not the point's.
"""

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from common.errors import ConfigError
from deploy.tools.trace.fix import Row
from deploy.tools.trace.trace import CutShort
from ingest.resources.route.gpx import ELEMENTS, NAMESPACE

OURS = f"{{{NAMESPACE}}}"
OWN = {"time": "recorded_at", "ele": "altitude", "speed": "speed", "course": "heading"}
OURS_FIELDS = {
    OURS + element: "speed_kmh" if element == "speed_kmh" else column
    for column, element in ELEMENTS.items()
}
FOREIGN = {"speed": "speed", "course": "heading", "bearing": "heading"}
# Characters parsed at a time: so many elements are in memory at once.
CHUNK = 1 << 20


def gpx_rows(text: str) -> Iterator[Row]:
    """Points of all tracks, in file order. A track of ours names its driver.

    Raises `ConfigError` for what is not GPX or could blow up, `CutShort` where it is no longer
    well-formed.
    """
    # What is checked here is what is parsed: a text has no encoding that could hide it.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ConfigError("GPX with a DOCTYPE is refused: entities can blow up")
    parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
    reader = _PointReader()
    try:
        for first in range(0, len(text), CHUNK):
            parser.feed(text[first : first + CHUNK])
            yield from reader.rows(parser)
        parser.close()
        yield from reader.rows(parser)
    except ParseError as e:
        raise CutShort(f"GPX is not well-formed: {e}") from e


class _PointReader:
    """Keeps what must be known of earlier elements: the root, and the track's driver."""

    def __init__(self) -> None:
        self._root: Element | None = None
        self._driver_id: str | None = None

    def rows(self, parser: "XMLPullParser[Any]") -> Iterator[Row]:
        # Of the two kinds that were asked for; others have no element.
        events: Iterator[Any] = parser.read_events()
        for event, element in events:
            tag = _local(element)
            if event == "start":
                if self._root is None:
                    self._root = element
                    if tag != "gpx":
                        raise ConfigError(f"XML, but not GPX: its root is <{tag}>")
            elif tag == "trkpt":
                driver = {} if self._driver_id is None else {"driver_id": self._driver_id}
                yield {**_point(element), **driver}
                element.clear()
            elif element.tag == f"{OURS}driver_id":
                self._driver_id = element.text
            elif tag == "trk":
                self._driver_id = None


def _point(point: Element) -> dict[str, object]:
    row: dict[str, object] = {"latitude": point.get("lat"), "longitude": point.get("lon")}
    extensions: list[Element] = []
    for child in point:
        tag = _local(child)
        if tag == "extensions":
            extensions.extend(child.iter())
        elif tag in OWN and _says(child):
            row.setdefault(OWN[tag], child.text)
    for element in extensions:
        field = OURS_FIELDS.get(str(element.tag)) or FOREIGN.get(_local(element))
        if field == "speed_kmh" and "speed" in row:
            continue
        if field is not None and _says(element):
            row.setdefault(field, element.text)
    return row


def _says(element: Element) -> bool:
    return bool(element.text and element.text.strip())


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
