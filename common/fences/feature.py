"""GeoJSON features as fences: what an import takes, and what an export gives. Pure."""

from typing import Any

from common.errors import Fault, InvalidUpdate
from common.fences.terms import FenceBody
from common.ids import ID_DETAIL, is_id

# A fence of that name could not be asked for: a path of the list stands there.
TAKEN_IDS = frozenset({"import"})
# Maps carry properties of all kinds: what is near one of these by its name is no slip there.
_MEMBERS = frozenset(FenceBody.__struct_fields__)


def is_fence_id(text: str) -> bool:
    """Whether `text` may name a fence."""
    return is_id(text) and text not in TAKEN_IDS


def body_of(feature: object) -> tuple[str, dict[str, Any]]:
    """The id of a feature's fence, and its body as a PUT would have it.

    The id is the feature's `id`, or `geofence_id` of its properties; the name, where it has none,
    is the id. Properties that mean nothing here are left out, and so are those that are null.
    Raises `InvalidUpdate`.
    """
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise _refusal("type", "must be Feature")
    properties = feature.get("properties")
    properties = {} if properties is None else properties
    if not isinstance(properties, dict):
        raise _refusal("properties", "must be an object")
    given = [v for v in (feature.get("id"), properties.get("geofence_id")) if v is not None]
    if not given:
        raise _refusal("id", "is required, here or as geofence_id of the properties")
    names = [str(v) if isinstance(v, str | int) and not isinstance(v, bool) else "" for v in given]
    if not is_fence_id(names[0]):
        raise _refusal("id", ID_DETAIL)
    if names[0] != names[-1]:
        raise _refusal("id", "is not what geofence_id of the properties is")
    body = {name: v for name, v in properties.items() if v is not None and name in _MEMBERS}
    body.setdefault("name", names[0])
    body["geometry"] = feature.get("geometry")
    return names[0], body


def placed(faults: tuple[Fault, ...], place: int) -> list[Fault]:
    """Faults of a body as faults of the feature at that place of its collection."""
    inside = ("id", "type", "properties")
    return [
        Fault(
            f"features[{place}].{f.field}"
            if f.field.startswith("geometry") or f.field in inside
            else f"features[{place}].properties.{f.field}",
            f.detail,
        )
        for f in faults
    ]


def _refusal(field: str, detail: str) -> InvalidUpdate:
    return InvalidUpdate(f"{field}: {detail}", faults=(Fault(field, detail),))
