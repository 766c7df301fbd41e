"""H3 cells, where the package `h3` (extra `insight`) is there. Cells are 64-bit integers."""

from collections.abc import Callable, Sequence

try:
    import h3.api.basic_int as _h3
except ImportError:  # The base install does without.
    _h3 = None

# A bounding box is covered by at most so many cells of an answer.
Place = tuple[float, float]


def available() -> bool:
    """Whether cells can be computed here."""
    return _h3 is not None


def cell_function() -> Callable[[float, float, int], int]:
    """Latitude, longitude and resolution to a cell. Only where `available()`."""
    return _h3.latlng_to_cell  # type: ignore[no-any-return]


def cell_name(cell: int) -> str:
    """The cell as H3 writes it: 15 hexadecimal digits."""
    return f"{cell:x}"


def parent(cell: int, resolution: int) -> int:
    """The cell of a coarser resolution that holds this one's centre."""
    return int(_h3.cell_to_parent(cell, resolution))


def centre(cell: int) -> Place:
    """Latitude and longitude of the middle."""
    return tuple(_h3.cell_to_latlng(cell))


def outline(cell: int) -> Sequence[Place]:
    """The corners, as latitude and longitude, counter-clockwise."""
    return [tuple(corner) for corner in _h3.cell_to_boundary(cell)]
