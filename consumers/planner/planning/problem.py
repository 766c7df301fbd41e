"""A plan's problem as the rules see it: places are numbers, times are seconds from its beginning.

Pure. `durations_s` and `distances_m` are rows of the places that are used, None where there is no
way; from a place to itself it takes no time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

StopKind = Literal["job", "pickup", "delivery"]
# One number for each kind of goods.
Load = tuple[int, ...]
# From and to, in seconds.
Span = tuple[float, float]
Matrix = Sequence[Sequence[float | None]]
FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class PlanVisit:
    """A stop that is to be made. `change`: of the load, once it is made."""

    # Its place in `PlanProblem.visits`.
    number: int
    task: int
    kind: StopKind
    place: int
    service_s: float
    # In order, not touching each other; none: at any time.
    windows: tuple[Span, ...]
    change: Load


@dataclass(frozen=True, slots=True)
class Task:
    """A job, a shipment, or the rest of one that is aboard: all of its visits or none."""

    task_id: str
    visits: tuple[PlanVisit, ...]
    # Loaded before the route begins.
    loaded: Load
    skills: frozenset[str | int]
    priority: int
    # The one vehicle that may serve it; None: any.
    vehicle: int | None = None
    aboard: bool = False


@dataclass(frozen=True, slots=True)
class FleetVehicle:
    """A vehicle of the plan."""

    vehicle_id: str
    driver_id: str | None
    start: int
    end: int | None
    # None: without a limit.
    capacity: Load | None
    skills: frozenset[str | int]
    # When it may leave its start at the earliest, and must have done its last stop or reached its
    # end.
    begin_s: float
    until_s: float
    jobs_max: int | None
    speed_factor: float
    # Aboard, and not to be delivered by this plan.
    held: Load


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """All of it."""

    vehicles: tuple[FleetVehicle, ...]
    tasks: tuple[Task, ...]
    durations_s: Matrix
    distances_m: Matrix | None

    @property
    def visits(self) -> list[PlanVisit]:
        """All visits, by number."""
        return [visit for task in self.tasks for visit in task.visits]

    def leg_s(self, vehicle: FleetVehicle, place: int, to: int) -> float | None:
        """Seconds from a place to another; None where there is no way."""
        if place == to:
            return 0.0
        seconds = self.durations_s[place][to]
        return None if seconds is None else seconds / vehicle.speed_factor

    def holding(self, tasks: Sequence[int]) -> "PlanProblem":
        """The same, where these tasks stay aboard to the end."""
        vehicles = list(self.vehicles)
        for index in tasks:
            task = self.tasks[index]
            if task.vehicle is not None and task.aboard:
                vehicle = vehicles[task.vehicle]
                vehicles[task.vehicle] = replace(vehicle, held=added(vehicle.held, task.loaded))
        return replace(self, vehicles=tuple(vehicles))


def added(load: Load, more: Load) -> Load:
    """Both together."""
    return tuple(a + b for a, b in zip(load, more, strict=True))


def fits(load: Load, capacity: Load | None) -> bool:
    """Whether it is no more, of anything."""
    return capacity is None or all(a <= b for a, b in zip(load, capacity, strict=True))
