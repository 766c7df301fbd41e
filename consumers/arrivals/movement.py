"""Where a driver was in the last minutes, as far as its speed needs it. Pure."""

from common.roads.pace_fit import WINDOW_S, TimedPlace, recent_mps

# Places closer in time than this say nothing more.
SPACING_S = 15.0


class Movement:
    """Places of one driver, some twenty of them at most."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: list[TimedPlace] = []

    def add(self, at_s: float, latitude: float, longitude: float) -> None:
        """The driver's newest place; one that is no newer is passed over."""
        places = self._places
        if places and at_s <= places[-1][0]:
            return
        # The newest is always there; between the others lies some time.
        if len(places) > 1 and at_s - places[-2][0] < SPACING_S:
            places.pop()
        places.append((at_s, latitude, longitude))
        while places[0][0] < at_s - WINDOW_S:
            places.pop(0)

    @property
    def recent_mps(self) -> float | None:
        """How fast it came forward (m/s, along the straight line); None: too little is known."""
        return recent_mps(self._places, len(self._places) - 1) if self._places else None
