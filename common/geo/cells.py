"""H3 cells, where the package `h3` (extra `insight`) is there. Cells are 64-bit integers."""

from collections.abc import Callable, Sequence

from common.errors import Overloaded

try:
    import h3.api.basic_int as _h3
except ImportError:  # The base install does without.
    _h3 = None

Place = tuple[float, float]


def available() -> bool:
    """Whether cells can be computed here."""
    return _h3 is not None


def require() -> None:
    """Raise `Overloaded` where cells cannot be computed."""
    if _h3 is None:
        raise Overloaded(
            "heat maps need the package h3 (pip install 'fleetline[insight]')", retry_after_s=3600
        )


def cell_function() -> Callable[[float, float, int], int]:
    """Latitude, longitude and resolution to a cell. Only where `available()`."""
    return _h3.latlng_to_cell  # type: ignore[no-any-return]


def cell_name(cell: int) -> str:
    """The cell as H3 writes it: 15 hexadecimal digits."""
    return f"{cell:x}"


def centre(cell: int) -> Place:
    """Latitude and longitude of the middle."""
    return tuple(_h3.cell_to_latlng(cell))


def outline(cell: int) -> Sequence[Place]:
    """The corners, as latitude and longitude, counter-clockwise."""
    return [tuple(corner) for corner in _h3.cell_to_boundary(cell)]
