"""By what the fold judges: radius, times and limits."""

from dataclasses import dataclass

# A move below this is noise: fixes of a phone at rest wander about so far. Without the band one
# parked for an hour at 1 Hz drives 4 to 32 km.
DEAD_BAND_M = 10.0
# Faster is no driving on a road; a spoofed or broken fix jumped.
JUMP_KMH = 200.0
# Slower than half a walker (metres a second) is standing still.
STANDING_MPS = 0.5
# Resolution of H3 cells that are counted: hexagons about 1 km across, the finest that is asked for.
CELL_RESOLUTION = 8


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that decide what the fold says; other ones mean folding everything again."""

    stop_radius_m: float = 50.0
    stop_min_s: float = 120.0
    gap_s: float = 900.0
    trip_min_m: float = 200.0
    # 0: there is no limit to be over.
    speed_limit_kmh: float = 0.0
    # Whether cells are counted (they need the package h3).
    cells: bool = False
