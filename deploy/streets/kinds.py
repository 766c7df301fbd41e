"""What of OpenStreetMap is drawn, as what, and from which zoom on: rules over tags. Pure.

Zooms are those of tiles; a page shows a tile 512 pixels wide, so its own zoom is one higher.
The words of tags are those of https://wiki.openstreetmap.org/wiki/Map_features.
"""

import unicodedata
from collections.abc import Mapping
from typing import Final

import msgspec

# The last zoom that has tiles: pages draw them larger from there on. A unit of a tile is then
# 0.6 m at the equator, and 4^15 tiles would gain nothing.
ZOOM_MAX: Final = 14
# Before this a tile would hold little but the names of countries.
ZOOM_MIN: Final = 5
# Longer names are cut: no page has room for more.
NAME_CHARS_MAX: Final = 80
# House numbers such as "12 a".
NUMBER_CHARS_MAX: Final = 12

Tags = Mapping[str, str]


class Drawing(msgspec.Struct, frozen=True, array_like=True):
    """How one thing of the map is drawn: its layer and kind, its zooms, its words."""

    layer: str
    kind: str
    zoom_min: int
    name: str = ""
    # From here on its name is in the tiles; a name costs more than a line.
    named_from: int = ZOOM_MAX
    ref: str = ""
    # Bridges 1, tunnels -1.
    level: int = 0
    # Of two that want the same place the lower rank is shown.
    rank: int = 0


# A coastline is no line on the map: it tells where the sea begins.
COAST: Final = Drawing("water", "coast", ZOOM_MIN)
SEA: Final = Drawing("water", "water", ZOOM_MIN)

# highway → kind and zoom. What is not here is not drawn (proposed, construction, bus stops).
_HIGHWAYS: Final = {
    "motorway": ("motorway", 5),
    "motorway_link": ("motorway", 11),
    "trunk": ("trunk", 6),
    "trunk_link": ("trunk", 11),
    "primary": ("primary", 8),
    "primary_link": ("primary", 11),
    "secondary": ("secondary", 9),
    "secondary_link": ("secondary", 12),
    "tertiary": ("tertiary", 11),
    "tertiary_link": ("tertiary", 12),
    "unclassified": ("street", 12),
    "residential": ("street", 12),
    "living_street": ("street", 12),
    "road": ("street", 12),
    "pedestrian": ("walk", 13),
    "service": ("service", 13),
    "track": ("path", 13),
    "path": ("path", 13),
    "cycleway": ("path", 14),
    "footway": ("path", 14),
    "bridleway": ("path", 14),
    "steps": ("path", 14),
}
_RAILWAYS: Final = {
    "rail": 9,
    "narrow_gauge": 11,
    "light_rail": 12,
    "tram": 13,
    "subway": 13,
    "funicular": 13,
}
_WATERWAYS: Final = {
    "river": ("river", 8),
    "canal": ("river", 11),
    "stream": ("stream", 13),
    "ditch": ("stream", 14),
    "drain": ("stream", 14),
}
# Tag → value → kind of ground and zoom. The zoom is the first at which one is ever drawn; small
# ones come later, by their area.
_GROUNDS: Final[dict[str, dict[str, tuple[str, int]]]] = {
    "natural": {
        "water": ("water", 5),
        "bay": ("water", 8),
        "wood": ("wood", 7),
        "scrub": ("wood", 11),
        "heath": ("grass", 10),
        "grassland": ("grass", 10),
        "wetland": ("grass", 10),
        "glacier": ("ice", 6),
        "beach": ("sand", 11),
        "sand": ("sand", 10),
        "bare_rock": ("rock", 9),
        "scree": ("rock", 9),
    },
    "landuse": {
        "reservoir": ("water", 7),
        "basin": ("water", 11),
        "forest": ("wood", 7),
        "orchard": ("grass", 11),
        "vineyard": ("grass", 11),
        "meadow": ("grass", 11),
        "grass": ("grass", 12),
        "village_green": ("park", 12),
        "recreation_ground": ("park", 12),
        "allotments": ("park", 12),
        "cemetery": ("park", 12),
        "residential": ("town", 9),
        "retail": ("work", 11),
        "commercial": ("work", 11),
        "industrial": ("work", 10),
        "railway": ("work", 12),
    },
    "leisure": {
        "park": ("park", 10),
        "garden": ("park", 13),
        "nature_reserve": ("reserve", 9),
        "golf_course": ("park", 11),
        "pitch": ("pitch", 13),
        "stadium": ("pitch", 12),
        "sports_centre": ("pitch", 13),
        "swimming_pool": ("water", 14),
    },
    "waterway": {"riverbank": ("water", 7), "dock": ("water", 12)},
    "amenity": {
        "school": ("work", 13),
        "university": ("work", 12),
        "hospital": ("work", 12),
        "parking": ("parking", 14),
    },
    "aeroway": {"aerodrome": ("work", 10), "apron": ("parking", 12)},
    "place": {"square": ("parking", 14)},
}
# Place → zoom and rank.
_PLACES: Final = {
    "city": (5, 0),
    "town": (8, 1),
    "village": (10, 2),
    "borough": (11, 3),
    "suburb": (11, 3),
    "quarter": (12, 4),
    "hamlet": (12, 4),
    "neighbourhood": (13, 5),
    "isolated_dwelling": (14, 6),
    "farm": (14, 6),
    "locality": (14, 6),
}
# Keys that something is drawn for: the rest of a file is not looked at.
WAY_KEYS: Final = (
    "highway", "railway", "waterway", "natural", "landuse", "leisure", "amenity", "aeroway",
    "place", "building", "route", "boundary", "addr:housenumber", "man_made",
)  # fmt: skip
NODE_KEYS: Final = ("place", "railway", "natural", "aeroway", "addr:housenumber")


def cleaned(text: str, chars_max: int = NAME_CHARS_MAX) -> str:
    """Words as they may be drawn: one line, no control characters, not long.

    Marks that turn the direction of text are controls too: those of one name would turn others.
    Joiners (U+200C and U+200D) stay, which Persian and Hindi are written with.
    """
    # Bounded before each character is looked at.
    kept = (
        char if char in "\u200c\u200d" or unicodedata.category(char)[0] != "C" else " "
        for char in text[: 4 * chars_max]
    )
    words = " ".join("".join(kept).split())
    return words if len(words) <= chars_max else f"{words[: chars_max - 1].rstrip()}…"


def node_drawings(tags: Tags) -> list[Drawing]:
    """What a node is drawn as."""
    drawings = []
    name = cleaned(tags.get("name", ""))
    place = _PLACES.get(tags.get("place", ""))
    if place is not None and name:
        drawings.append(Drawing("name", tags["place"], place[0], name, place[0], rank=place[1]))
    elif tags.get("railway") in {"station", "halt"} and name:
        drawings.append(Drawing("name", "station", 13, name, 13, rank=4))
    elif tags.get("aeroway") == "aerodrome" and name:
        drawings.append(Drawing("name", "station", 11, name, 11, rank=3))
    elif tags.get("natural") == "peak" and name:
        drawings.append(Drawing("name", "peak", 12, name, 12, rank=5))
    return [*drawings, *_house_number(tags)]


def way_drawings(tags: Tags) -> list[Drawing]:
    """What the line of a way is drawn as. Of a closed way the area is asked for as well."""
    name = cleaned(tags.get("name", ""))
    level = _level(tags)
    highway = _HIGHWAYS.get(tags.get("highway", ""))
    if highway is not None and tags.get("area") != "yes":
        kind, zoom = highway
        ref = cleaned(tags.get("ref", "").partition(";")[0], NUMBER_CHARS_MAX)
        return [Drawing("road", kind, zoom, name, max(zoom, 12), ref, level)]
    if "railway" in tags and tags["railway"] in _RAILWAYS:
        side = "service" in tags
        zoom = 14 if side else _RAILWAYS[tags["railway"]]
        return [Drawing("road", "rail", zoom, level=level)]
    if tags.get("aeroway") in {"runway", "taxiway"}:
        return [Drawing("road", tags["aeroway"], 11 if tags["aeroway"] == "runway" else 13)]
    if tags.get("waterway", "") in _WATERWAYS and level >= 0:
        kind, zoom = _WATERWAYS[tags["waterway"]]
        return [Drawing("line", kind, zoom, name, max(zoom, 12))]
    if tags.get("route") == "ferry":
        return [Drawing("line", "ferry", 10)]
    if tags.get("boundary") == "administrative" and tags.get("admin_level") in {"2", "4"}:
        return [Drawing("line", "border", 5 if tags["admin_level"] == "2" else 7)]
    if tags.get("natural") == "coastline":
        return [COAST]
    return []


def area_drawings(tags: Tags) -> list[Drawing]:
    """What an area is drawn as: its ground, what stands on it, and what is written there.

    A drawing of the layers `name` and `number` is meant for a point inside it.
    """
    drawings = []
    name = cleaned(tags.get("name", ""))
    ground = _ground(tags)
    if ground is not None:
        # A reserve is a fence on paper: its name alone is shown.
        if ground.kind != "reserve":
            drawings.append(ground)
        # Those of "work" and "town" are many, and say little.
        if name and ground.kind in {"water", "park", "wood", "reserve", "ice"}:
            words = ground.kind if ground.kind in {"water", "ice"} else "park"
            drawings.append(Drawing("name", words, 10, name, 10, rank=5))
    if tags.get("building", "no") != "no":
        drawings.append(Drawing("building", "building", 13))
    return [*drawings, *_house_number(tags)]


def _ground(tags: Tags) -> Drawing | None:
    for key, kinds in _GROUNDS.items():
        found = kinds.get(tags.get(key, ""))
        if found is not None:
            kind, zoom = found
            return Drawing("water" if kind == "water" else "land", kind, zoom)
    if tags.get("area") == "yes" and tags.get("highway") in {"pedestrian", "footway"}:
        return Drawing("land", "parking", 13)
    return None


def _house_number(tags: Tags) -> list[Drawing]:
    number = cleaned(tags.get("addr:housenumber", ""), NUMBER_CHARS_MAX)
    return [Drawing("number", "number", ZOOM_MAX, number)] if number else []


def _level(tags: Tags) -> int:
    if tags.get("tunnel", "no") not in {"no", "building_passage"}:
        return -1
    return 1 if tags.get("bridge", "no") != "no" else 0
