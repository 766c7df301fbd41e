"""From a plan that was judged good to its problem, but for the times of travel. Pure."""

from dataclasses import dataclass, field

from common.plans.body import (
    PlanBody,
    PlanJob,
    PlanPlace,
    PlanShipment,
    PlanVehicle,
    ShipmentEnd,
    Windows,
)
from common.plans.messages import LookedUp
from consumers.planner.planning.problem import (
    FOREVER,
    FleetVehicle,
    Load,
    Matrix,
    PlanProblem,
    PlanVisit,
    Span,
    StopKind,
    Task,
)
from consumers.planner.reading.clock import PlanClock
from consumers.planner.reading.judge import amounts_of
from consumers.planner.reading.keeping import KeptTasks


@dataclass(frozen=True, slots=True)
class Draft:
    """A problem without its matrix. `origin_s`: the clock's time from which it counts."""

    vehicles: tuple[FleetVehicle, ...]
    tasks: tuple[Task, ...]
    places: tuple[PlanPlace, ...]
    clock: PlanClock
    origin_s: float

    def problem(self, durations_s: Matrix, distances_m: Matrix | None) -> PlanProblem:
        """With its matrix."""
        return PlanProblem(self.vehicles, self.tasks, durations_s, distances_m)

    def given(self, body: PlanBody) -> PlanProblem:
        """With the matrix of the body: the rows and columns of the places that are used."""
        if body.matrix is None:
            raise ValueError("no matrix is given")
        used = [place.index or 0 for place in self.places]
        durations_s, distances_m = body.matrix.durations_s, body.matrix.distances_m
        picked = [[durations_s[a][b] for b in used] for a in used]
        metres = None
        if distances_m is not None:
            metres = [[distances_m[a][b] for b in used] for a in used]
        return self.problem(picked, metres)


def form(body: PlanBody, clock: PlanClock, kept: KeptTasks, looked_up: LookedUp) -> Draft:
    """The problem of a plan whose entries are judged, with positions for all that need one."""
    return _Forming(body, clock, kept, looked_up).draft()


@dataclass(slots=True)
class _Forming:
    body: PlanBody
    clock: PlanClock
    kept: KeptTasks
    looked_up: LookedUp
    places: dict[PlanPlace, int] = field(default_factory=dict)
    visits: int = 0
    dimensions: int = 0
    origin_s: float = 0.0

    def draft(self) -> Draft:
        """All of it."""
        body = self.body
        lists = [v.capacity for v in body.vehicles] + [s.amount for s in body.shipments]
        lists += [amounts for job in body.jobs for amounts in (job.delivery, job.pickup)]
        self.dimensions = max((len(amounts_of(given)) for given in lists), default=0)
        begins = [self._begin_s(vehicle) for vehicle in body.vehicles]
        self.origin_s = min(begins)
        vehicles = tuple(
            self._vehicle(vehicle, begin_s)
            for vehicle, begin_s in zip(body.vehicles, begins, strict=True)
        )
        tasks = (*self._jobs(), *self._shipments())
        return Draft(vehicles, tasks, tuple(self.places), self.clock, self.origin_s)

    def _begin_s(self, vehicle: PlanVehicle) -> float:
        """A shift is taken as it is given; nobody leaves where they are now before now."""
        begin_s = (
            self.clock.now_s if vehicle.shift is None else self.clock.seconds(vehicle.shift[0])
        )
        return begin_s if vehicle.start is not None else max(begin_s, self.clock.now_s)

    def _vehicle(self, vehicle: PlanVehicle, begin_s: float) -> FleetVehicle:
        start = vehicle.start
        if start is None:
            latitude, longitude = self.looked_up.positions[vehicle.driver_id or ""]
            start = PlanPlace(latitude, longitude)
        until_s = FOREVER
        if vehicle.shift is not None:
            until_s = self.clock.seconds(vehicle.shift[1]) - self.origin_s
        return FleetVehicle(
            vehicle_id=vehicle.id,
            driver_id=vehicle.driver_id,
            start=self._place(start),
            end=None if vehicle.end is None else self._place(vehicle.end),
            capacity=None if vehicle.capacity is None else self._load(vehicle.capacity),
            skills=frozenset(vehicle.skills or ()),
            begin_s=begin_s - self.origin_s,
            until_s=until_s,
            jobs_max=vehicle.max_jobs,
            speed_factor=vehicle.speed_factor or 1.0,
            held=self._load(None),
        )

    def _jobs(self) -> list[Task]:
        tasks = []
        for index, job in enumerate(self.body.jobs):
            brought, taken = self._load(job.delivery), self._load(job.pickup)
            change = tuple(b - a for a, b in zip(brought, taken, strict=True))
            tasks.append(self._task(job, (self._visit(index, "job", job, change),), brought))
        return tasks

    def _shipments(self) -> list[Task]:
        tasks = []
        for index, shipment in enumerate(self.body.shipments, len(self.body.jobs)):
            amount = self._load(amounts_of(shipment.amount))
            visits: tuple[PlanVisit, ...] = ()
            is_aboard = shipment.id in self.kept.aboard
            if not is_aboard and shipment.pickup is not None:
                visits = (self._visit(index, "pickup", shipment.pickup, amount),)
            less = tuple(-a for a in amount)
            visits = (*visits, self._visit(index, "delivery", shipment.delivery, less))
            tasks.append(self._task(shipment, visits, amount if is_aboard else self._load(None)))
        return tasks

    def _task(
        self, entry: PlanJob | PlanShipment, visits: tuple[PlanVisit, ...], loaded: Load
    ) -> Task:
        aboard = self.kept.aboard.get(entry.id)
        return Task(
            task_id=entry.id,
            visits=visits,
            loaded=loaded,
            # What is aboard has found its vehicle, whatever that can.
            skills=frozenset() if aboard is not None else frozenset(entry.skills or ()),
            priority=entry.priority or 0,
            vehicle=self.kept.assigned.get(entry.id) if aboard is None else aboard,
            aboard=aboard is not None,
        )

    def _visit(
        self, task: int, kind: StopKind, end: PlanJob | ShipmentEnd, change: Load
    ) -> PlanVisit:
        number = self.visits
        self.visits += 1
        place, spans = self._place(end.at), self._spans(end.windows)
        return PlanVisit(number, task, kind, place, end.service_s or 0.0, spans, change)

    def _spans(self, windows: Windows | None) -> tuple[Span, ...]:
        """In order, those that touch or overlap made one."""
        merged: list[Span] = []
        named = ((self.clock.seconds(a), self.clock.seconds(b)) for a, b in windows or ())
        for begin_s, end_s in sorted((a - self.origin_s, b - self.origin_s) for a, b in named):
            if merged and begin_s <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end_s))
            else:
                merged.append((begin_s, end_s))
        return tuple(merged)

    def _place(self, place: PlanPlace) -> int:
        """Its number among the places; those that are the same are one."""
        bare = place if self.body.matrix is None else PlanPlace(index=place.index)
        return self.places.setdefault(bare, len(self.places))

    def _load(self, amounts: list[int] | None) -> Load:
        return tuple(amounts) if amounts else (0,) * self.dimensions
