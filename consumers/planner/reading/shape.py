"""From bytes to a `PlanBody`. A member of the plan itself that is null counts as absent. Pure."""

from common.bodies.fault_list import FaultList, decode_json
from common.plans.body import PlanBody


def read_body(data: bytes, faults: FaultList) -> PlanBody | None:
    """The body as its types say; None where faults were found. Raises `InvalidUpdate` (400)."""
    value = decode_json(data)
    if isinstance(value, dict):
        value = {name: member for name, member in value.items() if member is not None}
    return faults.convert(value, PlanBody)
