"""What must hold between the entries of a plan. Pure."""

from collections.abc import Iterator

from common.bodies.fault_list import FaultList
from common.plans.body import PlanBody, PlanPlace
from common.plans.limits import JOBS_MAX, MATRIX_SIDE_MAX
from consumers.planner.reading.keeping import KeptTasks


def judge_entries(body: PlanBody, faults: FaultList) -> None:
    """Ids, sizes, amounts and places of all entries."""
    count = len(body.jobs) + 2 * len(body.shipments)
    if count > JOBS_MAX:
        detail = f"are {count} jobs together, more than {JOBS_MAX}: a shipment is two"
        faults.add("jobs" if not body.shipments else "shipments", detail)
    _judge_ids(body, faults)
    _judge_amounts(body, faults)
    side = _judge_matrix(body, faults)
    for where, place in _places(body):
        _judge_place(where, place, side, faults)
    for n, vehicle in enumerate(body.vehicles):
        where = f"vehicles[{n}].start"
        if vehicle.start is None and body.matrix is not None:
            faults.add(where, "is required where a matrix is given")
        elif vehicle.start is None and vehicle.driver_id is None:
            faults.add(where, "is required, or a driver_id, whose live position it is then")


def judge_kept(body: PlanBody, kept: KeptTasks, faults: FaultList) -> None:
    """What is aboard fits, and what is not aboard says where it is."""
    for n, shipment in enumerate(body.shipments):
        if shipment.pickup is None and shipment.id not in kept.aboard:
            faults.add(f"shipments[{n}].pickup", "is required: it is not aboard")
    for n, vehicle in enumerate(body.vehicles):
        loads = [
            amounts_of(shipment.amount)
            for shipment in body.shipments
            if kept.aboard.get(shipment.id) == n and shipment.amount is not None
        ]
        if vehicle.capacity is not None and loads:
            together = [sum(amounts) for amounts in zip(*loads, strict=False)]
            if any(a > most for a, most in zip(together, vehicle.capacity, strict=False)):
                faults.add(f"vehicles[{n}].aboard", "is more than the vehicle's capacity")


def amounts_of(amount: list[int] | int | None) -> list[int]:
    """As a list: a bare number is of one kind."""
    if amount is None:
        return []
    return [amount] if isinstance(amount, int) else amount


def _judge_ids(body: PlanBody, faults: FaultList) -> None:
    lists = (
        [(f"vehicles[{n}].id", v.id) for n, v in enumerate(body.vehicles)],
        [
            (f"vehicles[{n}].driver_id", v.driver_id)
            for n, v in enumerate(body.vehicles)
            if v.driver_id is not None
        ],
        # One list: what is left over is named by its id alone.
        [(f"jobs[{n}].id", job.id) for n, job in enumerate(body.jobs)]
        + [(f"shipments[{n}].id", shipment.id) for n, shipment in enumerate(body.shipments)],
    )
    for named in lists:
        first: dict[str, str] = {}
        for where, name in named:
            known = first.setdefault(name, where)
            if known != where:
                faults.add(where, f"is that of {known.rpartition('.')[0]} too")


def _judge_amounts(body: PlanBody, faults: FaultList) -> None:
    """All lists count the same kinds of goods, in the same order."""
    length, first = -1, ""
    for where, amounts in _amounts(body):
        if length < 0:
            length, first = len(amounts), where
        elif len(amounts) != length:
            faults.add(where, f"has {len(amounts)} numbers, but {first} has {length}")


def _amounts(body: PlanBody) -> Iterator[tuple[str, list[int]]]:
    for n, vehicle in enumerate(body.vehicles):
        if vehicle.capacity is not None:
            yield f"vehicles[{n}].capacity", vehicle.capacity
    for n, job in enumerate(body.jobs):
        if job.delivery is not None:
            yield f"jobs[{n}].delivery", job.delivery
        if job.pickup is not None:
            yield f"jobs[{n}].pickup", job.pickup
    for n, shipment in enumerate(body.shipments):
        if shipment.amount is not None:
            yield f"shipments[{n}].amount", amounts_of(shipment.amount)


def _judge_matrix(body: PlanBody, faults: FaultList) -> int:
    """How many places the given matrix has; 0: there is none."""
    if body.matrix is None:
        return 0
    rows = body.matrix.durations_s
    if not 1 <= len(rows) <= MATRIX_SIDE_MAX:
        faults.add("matrix.durations_s", f"must have 1 to {MATRIX_SIDE_MAX} rows")
        return 0
    for name in ("durations_s", "distances_m"):
        given = getattr(body.matrix, name)
        if given is None:
            continue
        if len(given) != len(rows):
            faults.add(f"matrix.{name}", f"must have {len(rows)} rows, not {len(given)}")
        for n, row in enumerate(given):
            if len(row) != len(rows):
                faults.add(f"matrix.{name}[{n}]", f"must have {len(rows)} numbers, not {len(row)}")
    return len(rows)


def _places(body: PlanBody) -> Iterator[tuple[str, PlanPlace]]:
    for n, vehicle in enumerate(body.vehicles):
        if vehicle.start is not None:
            yield f"vehicles[{n}].start", vehicle.start
        if vehicle.end is not None:
            yield f"vehicles[{n}].end", vehicle.end
    for n, job in enumerate(body.jobs):
        yield f"jobs[{n}].at", job.at
    for n, shipment in enumerate(body.shipments):
        if shipment.pickup is not None:
            yield f"shipments[{n}].pickup.at", shipment.pickup.at
        yield f"shipments[{n}].delivery.at", shipment.delivery.at


def _judge_place(where: str, place: PlanPlace, side: int, faults: FaultList) -> None:
    if side:
        if place.index is None:
            faults.add(f"{where}.index", "is required where a matrix is given")
        elif place.index >= side:
            faults.add(f"{where}.index", f"must be below {side}, the rows of the matrix")
    elif place.index is not None:
        faults.add(f"{where}.index", "goes with a matrix, and none is given")
    else:
        for name in ("latitude", "longitude"):
            if getattr(place, name) is None:
                faults.add(f"{where}.{name}", "is required")
