"""The background-geolocation SDKs: transistorsoft's with its templates, and mauron85's plugin."""

from typing import Any

from tests.odd import AT, BAD_VALUES, KEPT, NO_NUMBERS, NOW, Odd, iso, raw, weeks_ago

HERE = {"latitude": 52.5, "longitude": 13.4, "driver_id": "1341"}
GOOD = {"speed": 36.0, "heading": 158.4, "accuracy": 4.3, "altitude": 103, "battery": 88, **HERE}


def location(changed: Any = (), **members: Any) -> dict[str, Any]:
    """A location as the SDK stores it; `changed` are coords."""
    coords = {"latitude": 52.5, "longitude": 13.4, "accuracy": 4.3, "speed": 10,
              "heading": 158.4, "altitude": 103, **dict(changed)}  # fmt: skip
    return {
        "timestamp": iso(), "coords": coords, "uuid": "c5b9", "event": "motionchange",
        "is_moving": True, "battery": {"level": 0.88, "is_charging": False},
        "activity": {"type": "still"}, "extras": {}, **members,
    }  # fmt: skip


def sent(*locations: object, root: str = "location", **params: Any) -> dict[str, Any]:
    """A request with one location, or a list of them."""
    held = locations[0] if len(locations) == 1 else list(locations)
    return {root: held, "driver_id": 1341, **params}


def at(second: int) -> dict[str, Any]:
    return location(timestamp=iso(AT + second))


TEMPLATE = {"lat": 52.5, "lng": 13.4, "event": "motionchange", "isMoving": True,
            "timestamp": iso(), "speed": 10}  # fmt: skip
MAURON85 = {"latitude": 52.5, "longitude": 13.4, "time": AT * 1000, "speed": 10.0,
            "bearing": 158.4, "altitude": 103, "accuracy": 4.3, "provider": "fused",
            "locationProvider": 1}  # fmt: skip
BY_ADDRESS = "driver_id=1341"
SHAPES = [
    Odd("one location", sent(location()), [GOOD]),
    Odd("a batch", sent(at(0), at(1)), [GOOD, GOOD]),
    Odd("a batch as locations", sent(at(0), at(1), root="locations"), [GOOD, GOOD]),
    Odd("httpRootProperty .", {**location(), "driver_id": 1341}, [GOOD]),
    *(Odd(f"httpRootProperty {root}", sent(location(), root=root), [GOOD])
      for root in ("data", "gps", "Location", "my.data")),
    Odd("httpRootProperty data, a batch", sent(at(0), at(1), root="data"), [GOOD, GOOD]),
    Odd("data beside a text called location", sent(location(), root="data", location="Berlin"),
        [GOOD]),
    Odd("data beside a place", sent(location(), root="data", depot={"lat": 1, "lng": 2}),
        phone=KEPT),
    Odd("a location beside a place", sent(location(), depot={"lat": 1, "lng": 2}), [GOOD]),
    Odd("locationTemplate", sent(TEMPLATE), [HERE | {"speed": 36.0}]),
    Odd("locationTemplate with extras merged", sent({**TEMPLATE, "order_id": "o-1"}),
        [{"order_id": "o-1"}]),
    Odd("locationTemplate, httpRootProperty .", {**TEMPLATE, "driver_id": 1341}, [HERE]),
    Odd("locationTemplate, httpRootProperty data", sent(TEMPLATE, root="data"), [HERE]),
    Odd("locationTemplate that forgets its time", sent({"lat": 52.5, "lng": 13.4}), [HERE]),
    Odd("locationTemplate with a tag left empty", raw(sent({**TEMPLATE, "speed": "RAW"}), b""),
        [HERE | {"speed": None}]),
    Odd("locationTemplate as an array: no names", sent([52.5, 13.4, "motionchange"]), phone=KEPT),
    Odd("mauron85", [MAURON85], [GOOD | {"battery": None}], query=BY_ADDRESS),
    Odd("mauron85, postTemplate", [{"lat": 52.5, "lon": 13.4, "time": AT, "driver_id": "1341"}],
        [HERE]),
    Odd("a list of locations", [at(0), at(1)], [GOOD, GOOD], query=BY_ADDRESS),
    Odd("an empty batch", sent(root="locations")),
    Odd("an event that is no location", sent({"event": "providerchange"}, at(1)),
        [GOOD], {"no_interest": 1}),
    Odd("one of several samples", sent(location(sample=True)), [], {"no_interest": 1}),
    Odd("a good one beside what is unknown", sent(at(0), {"x": 1}, 7), [GOOD],
        {"unknown_shape": 2}),
    Odd("nothing", b"", counts={"unreadable": 1}),
    Odd("an empty object", {}, phone=KEPT),
    Odd("an empty location", sent({}), phone=KEPT),
    Odd("text", "hello", phone=KEPT),
    Odd("OwnTracks' message", {"_type": "location", "lat": 52.5, "lon": 13.4, "tst": AT},
        query=BY_ADDRESS, phone=KEPT),
    Odd("Overland's batch", {"locations": [{"type": "Feature", "geometry": {"type": "Point",
        "coordinates": [13.4, 52.5]}, "properties": {}}]}, phone=KEPT),
    Odd("too many locations", sent(*[{"coords": {}}] * 5001), phone=KEPT, status=413),
]  # fmt: skip
ORDERS = [
    *(Odd(f"order {value!r}, {where}", body, [GOOD | {"order_id": expected}], counts)
      for value, expected, counts in (
          ("o-1", "o-1", {}), (12345, "12345", {}), (12345.0, "12345", {}), (0, "0", {}),
          ("", None, {}), (" ", None, {}), (None, None, {}),
          ("#FF2026", None, {"without_order": 1}),
          ("ORD 12", None, {"without_order": 1}), ("A/12", None, {"without_order": 1}),
          (12.5, None, {"without_order": 1}), (True, None, {"without_order": 1}),
          ({"id": 1}, None, {"without_order": 1}), ([1], None, {"without_order": 1}),
          (1e300, None, {"without_order": 1}),
      )
      for where, body in (("extras", sent(location(extras={"order_id": value}))),
                          ("root", sent(location(), order_id=value)))),
    Odd("an order of its own", sent(location(extras={"order_id": "o-2"}), order_id="o-1"),
        [{"order_id": "o-2"}]),
    Odd("order #A12 in the address", sent(location()), query="order_id=%23A12", phone=KEPT),
]  # fmt: skip
NAMES = [
    Odd("nobody", {"location": location()}, phone=KEPT),
    Odd("a driver that is none", sent(location(), driver_id="my phone"), phone=KEPT),
    Odd("driver true", sent(location(), driver_id=True), phone=KEPT),
    Odd("driver 1341.0", sent(location(), driver_id=1341.0), [GOOD]),
    Odd("the phone's uuid", sent(location(), driver_id=None, device={"uuid": "1341"}), [GOOD]),
    Odd("in extras", sent(location(extras={"driver_id": "1341"}), driver_id=7), [GOOD]),
    Odd("extras as a list", sent(location(extras=[])), [GOOD]),
]  # fmt: skip
VALUES = [
    *(Odd(f"latitude {value!r}", sent(location({"latitude": value}), at(1)), [GOOD],
          {"no_position": 1}) for value in (91, 1e300, *NO_NUMBERS)),
    Odd("negative accuracy: iOS knows no position",
        sent(location({"latitude": 0, "longitude": 0, "accuracy": -1}), at(1)),
        [GOOD], {"invalid_position": 1}),
    *(Odd(f"time {value!r}", sent(location(timestamp=value)), [GOOD])
      for value in (iso().lower(), AT, AT * 1000, str(AT), None)),
    *(Odd(f"time {value!r}", sent(location(timestamp=value), at(1)), [GOOD], {"no_time": 1})
      for value in ("soon", True)),
    Odd("a year old", sent(location(timestamp=NOW - 366 * 86400)), [], {"too_old": 1}),
    Odd("a rollover behind", sent(location(timestamp=weeks_ago(1024))), [], {"clock_weeks_off": 1}),
    Odd("0", sent(location(timestamp=0)), [], {"clock_not_set": 1}),
    *(Odd(f"{name} {value!r}", sent(location({name: value})), [HERE | {name: None}])
      for name in ("speed", "heading", "accuracy", "altitude")
      for value in (1e300, *NO_NUMBERS)),
    *(Odd(f"battery {value!r}", sent(location(battery=value)), [HERE | {"battery": expected}])
      for value, expected in ((None, None), (0.5, 50), ({"level": -1}, None), ("x", None),
                              ([], None), ({"level": 88}, None), (True, None), ({}, None))),
    Odd("unknown as -1", sent(location({"speed": -1, "heading": -1})),
        [{"speed": None, "heading": None}]),
    *(Odd(f"altitude {name}, as bytes", raw(sent(location({"altitude": "RAW"}), at(1)), value),
          [HERE, GOOD]) for name, value in BAD_VALUES.items()),
]  # fmt: skip
ROWS = [*SHAPES, *ORDERS, *NAMES, *VALUES]
