"""What stays with its vehicle: what is aboard, and what is assigned. Pure."""

from dataclasses import dataclass, field

from common.bodies.fault_list import FaultList
from common.plans.body import PlanBody
from common.plans.messages import LookedUp, LookUp

NOTHING_LOOKED_UP = LookedUp({}, {})


@dataclass(frozen=True, slots=True)
class KeptTasks:
    """Places of vehicles, by the id of what stays with them."""

    # Shipments that are picked up.
    aboard: dict[str, int] = field(default_factory=dict)
    # Jobs and shipments that are not.
    assigned: dict[str, int] = field(default_factory=dict)


def look_up_for(body: PlanBody) -> LookUp | None:
    """What has to be known of the fleet to make this plan; None: nothing."""
    drivers = [v.driver_id for v in body.vehicles if v.driver_id is not None and v.start is None]
    if body.matrix is not None:
        drivers = []
    vehicle = body.vehicle if body.matrix is None else None
    orders = []
    if body.keep == "assigned" and any(v.driver_id is not None for v in body.vehicles):
        orders = [job.id for job in body.jobs] + [shipment.id for shipment in body.shipments]
    return LookUp(drivers, orders, vehicle) if drivers or orders or vehicle else None


def kept_of(body: PlanBody, looked_up: LookedUp, faults: FaultList) -> KeptTasks:
    """What stays with which vehicle."""
    kept = KeptTasks()
    if body.keep == "nothing":
        return kept
    shipments = {shipment.id for shipment in body.shipments}
    for place, vehicle in enumerate(body.vehicles):
        for n, shipment_id in enumerate(vehicle.aboard or ()):
            where = f"vehicles[{place}].aboard[{n}]"
            if shipment_id not in shipments:
                faults.add(where, "is no shipment of this plan")
            elif shipment_id in kept.aboard:
                faults.add(where, f"is aboard vehicles[{kept.aboard[shipment_id]}] too")
            kept.aboard[shipment_id] = place
    vehicle_of = {v.driver_id: n for n, v in enumerate(body.vehicles) if v.driver_id is not None}
    for order_id, order in looked_up.orders.items():
        place = vehicle_of.get(order.driver_id, -1)
        if place < 0 or order_id in kept.aboard:
            continue
        part = kept.aboard if order.aboard and order_id in shipments else kept.assigned
        part[order_id] = place
    return kept
