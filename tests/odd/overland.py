"""Overland, and apps that speak as it does (Colota)."""

from typing import Any

from tests.odd import AT, BAD_VALUES, KEPT, NO_NUMBERS, NOW, Odd, iso, raw, weeks_ago

HERE = {"latitude": 52.53, "longitude": 13.42, "driver_id": "van"}
GOOD = {"speed": 36.0, "heading": 90, "accuracy": 8, "altitude": 40, "battery": 80, **HERE}


def feature(geometry: object = None, **properties: Any) -> dict[str, Any]:
    """A point as Overland sends it; `properties` replace some."""
    return {
        "type": "Feature",
        "geometry": geometry or {"type": "Point", "coordinates": [13.42, 52.53]},
        "properties": {
            "timestamp": iso(), "speed": 10, "course": 90, "horizontal_accuracy": 8,
            "vertical_accuracy": 3, "altitude": 40, "battery_level": 0.8, "wifi": "",
            "device_id": "van", **properties,
        },
    }  # fmt: skip


def batch(*features: object, **envelope: Any) -> dict[str, Any]:
    """A request; the features are a second apart."""
    return {"locations": list(features), **envelope}


def at(second: int) -> dict[str, Any]:
    return feature(timestamp=iso(AT + second))


LEFT = {"arrival_date": iso(NOW - 7200), "departure_date": iso(NOW - 1200)}
OUTSIDE = {"type": "Point", "coordinates": [13.35, 91]}
TRACE = {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}

NOT_FIXES = [
    Odd("a good one", batch(feature()), [GOOD]),
    Odd("no points", batch()),
    Odd("a visit that has ended", batch(at(0), feature(action="visit", **LEFT)),
        [GOOD], {"no_interest": 1}),
    Odd("a visit that goes on", batch(feature(action="visit", departure_date=None)),
        [], {"no_interest": 1}),
    *(Odd(f"action {action}", batch(feature(action=action), at(1)), [GOOD], {"no_interest": 1})
      for action in ("exited_pause_region", "paused_location_updates", "will_terminate", "new")),
    Odd("no action", batch(feature(action=None)), [GOOD]),
    Odd("a trip's summary", batch(feature(type="trip", mode="car")), [], {"no_interest": 1}),
    Odd("a trip drawn as a line", batch(feature(TRACE), at(1)), [GOOD], {"no_interest": 1}),
    Odd("current and trip beside the points", batch(at(0), current=at(1), trip={"mode": "car"}),
        [GOOD, GOOD]),
]  # fmt: skip
POSITIONS = [
    Odd("latitude 91 among good ones", batch(at(0), feature(OUTSIDE), at(1)),
        [GOOD, GOOD], {"no_position": 1}),
    *(Odd(f"coordinates {value!r}", batch(feature({"type": "Point", "coordinates": value})),
          [], {"no_position": 1})
      for value in ([], [1], None, "13.42,52.53", [None, None], {"lat": 1, "lon": 2})),
    Odd("coordinates as text", batch(feature({"type": "Point", "coordinates": ["13,42", "52.53"]})),
        [HERE]),
    Odd("negative accuracy: iOS knows no position", batch(feature(horizontal_accuracy=-1), at(1)),
        [GOOD], {"invalid_position": 1}),
]  # fmt: skip
TIMES = [
    *(Odd(f"time {text}", batch(feature(timestamp=text)), [GOOD])
      for text in (iso().lower(), iso().replace("+00:00", "z"), AT, AT * 1000, str(AT), None)),
    Odd("time 'soon'", batch(feature(timestamp="soon"), at(1)), [GOOD], {"no_time": 1}),
    Odd("time true", batch(feature(timestamp=True)), [], {"no_time": 1}),
    Odd("a year old", batch(feature(timestamp=iso(NOW - 366 * 86400)), at(1)),
        [GOOD], {"too_old": 1}),
    Odd("a GPS week rollover behind", batch(feature(timestamp=iso(weeks_ago(1024)))),
        [], {"clock_weeks_off": 1}),
    Odd("a GPS week rollover ahead", batch(feature(timestamp=iso(weeks_ago(-1024)))),
        [], {"clock_weeks_off": 1}),
    Odd("1970", batch(feature(timestamp="1970-01-01T00:04:00Z")), [], {"clock_not_set": 1}),
    Odd("next week", batch(feature(timestamp=iso(NOW + 7 * 86400))), [], {"in_the_future": 1}),
]  # fmt: skip
NAMES = [
    Odd("device id as a number", batch(feature(device_id=7)), [{"driver_id": "7"}]),
    Odd("device id as 7.0", batch(feature(device_id=7.0)), [{"driver_id": "7"}]),
    Odd("Colota: device id beside the points", batch(feature(device_id=None), device_id="colota-1"),
        [{"driver_id": "colota-1"}]),
    Odd("set in the middle of the queue", batch(feature(device_id=""), at(1)), [GOOD, GOOD]),
    Odd("nobody", batch(feature(device_id="")), phone=KEPT),
    Odd("device id that is none", batch(feature(device_id="my van")), phone=KEPT),
    Odd("driver in the address", batch(feature(device_id="")), [HERE], query="driver_id=van"),
    Odd("order in the address", batch(feature()), [{"order_id": "o-1"}], query="order_id=o-1"),
    Odd("order in the address that is none", batch(feature()), query="order_id=o%201", phone=KEPT),
]  # fmt: skip
SHAPES = [
    Odd("not JSON", b"\xff", counts={"unreadable": 1}),
    Odd("an empty object", {}, phone=KEPT),
    Odd("a list of features", [feature()], phone=KEPT),
    Odd("OwnTracks' message", {"_type": "location", "lat": 1, "lon": 2, "tst": AT}, phone=KEPT),
    Odd("locations of an SDK", {"locations": [{"coords": {"latitude": 1, "longitude": 2}}]},
        phone=KEPT),
    Odd("one feature that is none", batch(at(0), "x", None), [GOOD], {"unknown_shape": 2}),
    Odd("locations as an object", {"locations": feature()}, phone=KEPT),
    Odd("too many points", batch(*[feature()] * 5001), phone=KEPT, status=413),
    Odd("a byte order mark", b"\xef\xbb\xbf" + raw(batch(feature()), b""), [GOOD]),
    Odd("trailing NULs", raw(batch(feature()), b"") + b"\0\0\n", [GOOD]),
    Odd("a trailing comma", raw(batch(feature(), "RAW"), b"").replace(b", ]", b",]"), [GOOD]),
]  # fmt: skip
FIELDS = [
    *(Odd(f"{name} {value!r}", batch(feature(**{name: value}), at(1)),
          [HERE | {ours: None}, GOOD])
      for name, ours in (("speed", "speed"), ("course", "heading"),
                         ("horizontal_accuracy", "accuracy"), ("altitude", "altitude"),
                         ("battery_level", "battery"))
      for value in (1e300, "1e999", *NO_NUMBERS)),
    Odd("speed -1", batch(feature(speed=-1, course=-1, battery_level=-1)),
        [{"speed": None, "heading": None, "battery": None}]),
    Odd("decimal commas", batch(feature(speed="3,5", altitude="1,5")),
        [{"speed": 12.6, "altitude": 1.5}]),
    *(Odd(f"altitude {name}, as bytes", raw(batch(feature(altitude="RAW"), at(1)), value),
          [HERE, GOOD]) for name, value in BAD_VALUES.items()),
    *(Odd(f"wifi {name}, as bytes", raw(batch(at(1), feature(wifi="RAW")), value), [GOOD, GOOD])
      for name, value in BAD_VALUES.items()),
]  # fmt: skip
ROWS = [*NOT_FIXES, *POSITIONS, *TIMES, *NAMES, *SHAPES, *FIELDS]
