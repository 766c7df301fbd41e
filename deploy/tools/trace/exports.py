"""Rows of our own exports of a route in JSON and GeoJSON. Pure."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from common.errors import ConfigError
from deploy.tools.trace.fix import Row
from ingest.resources.route.geojson import LISTED


def export_rows(text: str) -> Iterator[Row]:
    """Rows in file order. Raises `ConfigError` for JSON that is no export of a route."""
    try:
        export = orjson.loads(text)
    except orjson.JSONDecodeError as e:
        raise ConfigError(f"JSON cannot be read: {e}") from e
    if isinstance(export, dict):
        if isinstance(export.get("points"), list):
            driver = _driver(export)
            return iter([_in_kmh(point) | driver for point in export["points"]])
        if export.get("type") == "Feature":
            return _feature_rows(export)
        features = export.get("features")
        if export.get("type") == "FeatureCollection" and isinstance(features, list):
            return chain.from_iterable(_feature_rows(f) for f in features)
    raise ConfigError(
        "JSON, but no export of a route; GET …/route gives what can be read "
        "(format=json, geojson, gpx or csv)"
    )


def _feature_rows(feature: Any) -> Iterator[Row]:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if geometry is None and isinstance(properties, dict) and properties.get("coordTimes") == []:
        # A route without a fix.
        return
    if not isinstance(geometry, dict) or not isinstance(properties, dict):
        raise ConfigError("GeoJSON, but a feature has no geometry or no properties")
    if not isinstance(properties.get("coordTimes"), list):
        raise ConfigError("GeoJSON without coordTimes: it does not say when")
    kind, positions = geometry.get("type"), geometry.get("coordinates")
    if kind not in {"Point", "LineString", "MultiLineString"} or not isinstance(positions, list):
        raise ConfigError(f"GeoJSON, but no line: {str(kind)[:40]!r}")
    nested = kind == "MultiLineString"
    positions = _flat(positions, nested=nested) if kind != "Point" else [positions]
    names = [name for name in LISTED if isinstance(properties.get(name), list)]
    lists = [_flat(properties[name], nested=nested) for name in ("coordTimes", *names)]
    driver = _driver(properties)
    for index, position in enumerate(positions):
        time, *listed = (values[index] if index < len(values) else None for values in lists)
        point = dict(zip(names, listed, strict=True))
        if "received_at" in point and point["received_at"] is None:
            # The exporter added it where the line crosses the antimeridian.
            continue
        yield _in_kmh({"recorded_at": time, **_place(position), **point}) | driver


def _place(position: object) -> dict[str, object]:
    if not isinstance(position, list):
        return {}
    return dict(zip(("longitude", "latitude", "altitude"), position, strict=False))


def _flat(values: list[Any], *, nested: bool) -> list[Any]:
    if not nested:
        return values
    return list(chain.from_iterable(part for part in values if isinstance(part, list)))


def _driver(export: dict[str, Any]) -> dict[str, object]:
    return {"driver_id": export["driver_id"]} if "driver_id" in export else {}


def _in_kmh(point: Any) -> dict[str, object]:
    """The row of a point of ours: its speed is in km/h, whatever unit other files have."""
    if not isinstance(point, dict):
        return {}
    return {"speed_kmh" if name == "speed" else name: value for name, value in point.items()}
