"""Bodies of fences judged without holding up the fixes that share the process.

Judging needs shapely (extra `places`), which is brought in when the first fence comes: most
workers never see one. Features are judged one by one, and large ones in a thread.
"""

import asyncio
from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec
import orjson

from common.bodies.fault_list import decode_body, decode_json
from common.errors import Fault, InvalidUpdate, Overloaded
from common.event import MALFORMED
from common.fences.feature import body_of, is_fence_id, placed
from common.fences.geometry import FAULTS_MAX
from common.ids import ID_DETAIL

T = TypeVar("T")
# What is longer takes more than a millisecond: some 300 vertices.
LARGE_BYTES = 8192
# From a fence's id and its decoded body to the row of it. Raises `InvalidUpdate`.
Judge = Callable[[str, object], object]
_MISSING = "geofences need the package shapely (pip install 'fleetline[places]')"


class FeatureCollection(msgspec.Struct):
    """What an import takes, its features not looked at yet."""

    type: Literal["FeatureCollection"]
    features: list[msgspec.Raw]


class CollectionShape(msgspec.Struct):
    """The same, to say what is wrong with one."""

    type: Literal["FeatureCollection"]
    features: list[object]


_decode_collection = msgspec.json.Decoder(FeatureCollection).decode


async def judge_fence(geofence_id: str, body: bytes) -> str:
    """The row of one fence as the table takes it. Raises `InvalidUpdate` or `Overloaded`."""
    require_fence_id(geofence_id)
    judge = await _judge()
    return f"[{await _apart(len(body), _row, judge, geofence_id, body)}]"


async def judge_features(body: bytes) -> str:
    """The rows of all features of a collection, likewise: all or nothing.

    Faults name their feature; those of a few features are named, not of thousands.
    """
    try:
        features = _decode_collection(body).features
    except MALFORMED as e:
        # What is no collection may be no JSON either, which is said first.
        decode_body(body, CollectionShape)
        raise InvalidUpdate("the body must be a FeatureCollection with features") from e
    if not features:
        raise InvalidUpdate("features: is empty", faults=(Fault("features", "is empty"),))
    judge = await _judge()
    rows: list[str] = []
    faults: list[Fault] = []
    places: dict[str, int] = {}
    for place, feature in enumerate(features):
        try:
            geofence_id, row = await _apart(len(feature), _feature_row, judge, feature)
            if (other := places.setdefault(geofence_id, place)) != place:
                faults.append(Fault(f"features[{place}].id", f"is that of features[{other}] too"))
            rows.append(row)
        except InvalidUpdate as e:
            faults += placed(e.faults, place) or [Fault(f"features[{place}]", e.detail)]
        if len(faults) >= FAULTS_MAX:
            break
    if faults:
        detail = "; ".join(f"{fault.field}: {fault.detail}" for fault in faults)
        raise InvalidUpdate(detail, faults=tuple(faults))
    return f"[{','.join(rows)}]"


def require_fence_id(geofence_id: str) -> None:
    """Raise `InvalidUpdate` unless that may name a fence."""
    if not is_fence_id(geofence_id):
        fault = Fault("geofence_id", ID_DETAIL)
        raise InvalidUpdate(f"geofence_id: {ID_DETAIL}", faults=(fault,))


async def _apart(length: int, work: Callable[..., T], *args: object) -> T:
    """Do `work` where it holds up nobody: in a thread, or between two turns of the loop."""
    if length > LARGE_BYTES:
        return await asyncio.to_thread(work, *args)
    await asyncio.sleep(0)
    return work(*args)


def _row(judge: Judge, geofence_id: str, body: bytes) -> str:
    return _dump(judge(geofence_id, decode_json(body)))


def _feature_row(judge: Judge, feature: msgspec.Raw) -> tuple[str, str]:
    geofence_id, body = body_of(decode_json(feature))
    return geofence_id, _dump(judge(geofence_id, body))


def _dump(row: object) -> str:
    return orjson.dumps(row, default=msgspec.structs.asdict).decode()


async def _judge() -> Judge:
    try:
        # Takes a third of a second the first time.
        return await asyncio.to_thread(_import_judge)
    except ImportError as e:
        raise Overloaded(_MISSING, retry_after_s=3600) from e


def _import_judge() -> Judge:
    from common.fences.body import read_terms  # noqa: PLC0415 - the package may be absent

    return read_terms
