"""What the child that makes a map tells its parent, a JSON object a line. Pure."""

from typing import Final

import msgspec

# Stages, in their order. `done` counts things read, then tiles written.
READING: Final = "reading"
WRITING: Final = "writing"
MADE: Final = "made"
# The folder of the tiles in the one that the child writes in.
TILES: Final = "tiles"


class MadeTiles(msgspec.Struct, frozen=True):
    """The tiles of a map: how many, how large, what they cover in degrees."""

    tiles: int
    size_bytes: int
    west: float
    south: float
    east: float
    north: float
    # Reason → how many pieces.
    left_out: dict[str, int] = {}


class StreetReport(msgspec.Struct, frozen=True):
    """How far it is."""

    stage: str
    done: int = 0
    # With the last stage.
    made: MadeTiles | None = None
