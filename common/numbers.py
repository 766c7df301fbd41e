"""Numbers as they stand in an address. Pure.

They are matched before they are converted: Python's own `float` also takes `1_000`, `nan` and
digits of other scripts.
"""

import re

DECIMAL = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE]-?[0-9]{1,3})?", re.ASCII)

# West, south, east, north in degrees WGS84. West greater than east crosses 180°.
Edges = tuple[float, float, float, float]
BBOX_DETAIL = "must be west,south,east,north in degrees"


def read_bbox(text: str) -> Edges | None:
    """The edges in `west,south,east,north`, or None when it is no box. Blanks say nothing."""
    parts = [part.strip(" ") for part in text.split(",")]
    if len(parts) != 4 or not all(DECIMAL.fullmatch(part) for part in parts):
        return None
    west, south, east, north = map(float, parts)
    if -180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90:
        return west, south, east, north
    return None
