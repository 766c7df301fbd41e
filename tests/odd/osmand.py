"""OsmAnd's protocol: OsmAnd, Traccar Client, GPSLogger's custom URL."""

from typing import Any
from urllib.parse import urlencode

from tests.odd import AT, BAD_VALUES, DELETED, FORM, KEPT, NOW, Odd, iso, raw, weeks_ago

HERE = {"latitude": -37.69, "longitude": 145.06, "driver_id": "82879256"}
GOOD = {"speed": 18.52, "heading": 158.44, "accuracy": 4.32, "altitude": 103, "battery": 88, **HERE}


def fields(**changed: Any) -> dict[str, Any]:
    """A fix as Traccar Client sends it; None leaves a field out."""
    found = {
        "id": "82879256", "lat": "-37.69", "lon": "145.06", "timestamp": AT, "accuracy": "4.32",
        "altitude": "103", "speed": "10.00", "bearing": "158.44", "batt": "88", **changed,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def query(
    name: str, stored: Any = (), counts: Any = (), phone: str = DELETED, **changed: Any
) -> Odd:
    """A row whose fix stands in the query of its address."""
    return Odd(name, b"", stored, dict(counts), phone, query=urlencode(fields(**changed)))


def form(name: str, stored: Any = (), counts: Any = (), **changed: Any) -> Odd:
    """A row whose fix is a form."""
    body = urlencode(fields(**changed)).encode()
    return Odd(name, body, stored, dict(counts), content_type=FORM)


def traccar_9(changed: Any = (), **root: Any) -> dict[str, Any]:
    """A fix in the JSON of Traccar Client 9."""
    coords = {"latitude": -37.69, "longitude": 145.06, "accuracy": 4.32, "speed": 10,
              "heading": 158.44, "altitude": 103, **dict(changed)}  # fmt: skip
    location = {"timestamp": iso(), "coords": coords, "battery": {"level": 0.88}, "extras": {}}
    return {"location": location, "device_id": "82879256", **root}


SHAPES = [
    query("a query", [GOOD]),
    form("a form", [GOOD]),
    Odd("a form that does not say so", urlencode(fields()).encode(), [GOOD], content_type=""),
    Odd("JSON of version 9", traccar_9(), [GOOD | {"speed": 36.0}]),
    Odd("JSON with an id in the address", traccar_9(device_id=None), [HERE], query="id=82879256"),
    query("latitude and longitude in one", [HERE], lat=None, lon=None, location="-37.69,145.06"),
    query("in one, with decimal commas", [HERE], lat=None, lon=None, location="-37,69,145,06"),
    query("a heartbeat", counts={"no_interest": 1}, lat=None, lon=None),
    Odd("JSON without coords", {"lat": 1, "lon": 2, "timestamp": AT}, query="id=d", phone=KEPT),
    Odd("a list", [fields()], query="id=d", phone=KEPT),
    Odd("JSON without a location", {"device_id": "d"}, phone=KEPT),
    Odd("JSON cut short", b'{"location"', counts={"unreadable": 1}),
    Odd("some text", b"hello", phone=KEPT),
    Odd("more fields than anybody sends", b"&".join([b"a=1"] * 300), phone=KEPT),
]  # fmt: skip
ORDERS = [
    *(form(f"order {value!r}", [GOOD | {"order_id": expected}], counts, order_id=value)
      for value, expected, counts in (
          ("o-1", "o-1", {}), ("12345", "12345", {}), ("", None, {}),
          ("#A12", None, {"without_order": 1}), ("A/12", None, {"without_order": 1}),
          ("ORD 12", None, {"without_order": 1}), ("x" * 65, None, {"without_order": 1}),
      )),
    query("order #A12 in the address", order_id="#A12", phone=KEPT),
    query("order in the address", [{"order_id": "o-1"}], order_id="o-1"),
]  # fmt: skip
NAMES = [
    query("nobody", id=None, phone=KEPT),
    query("deviceid", [HERE], id=None, deviceid="82879256"),
    query("an id that is none", id="my phone", phone=KEPT),
    query("driver in the address", [HERE], id="my phone", driver_id="82879256"),
]
POSITIONS = [
    query("decimal commas", [HERE], lat="-37,69", lon="145,06"),
    *(query(f"lat {value!r}", counts={"no_position": 1}, lat=value)
      for value in ("91", "", "x", "1e999", "nan", "1,2,3", "\u0661")),
    query("no lon", counts={"no_position": 1}, lon=None),
    *(query(f"valid {value}", counts={"invalid_position": 1}, valid=value)
      for value in ("false", "0", "False")),
    query("valid true", [GOOD], valid="true"),
    query("negative accuracy: iOS knows no position", counts={"invalid_position": 1},
          accuracy="-1"),
]  # fmt: skip
TIMES = [
    *(query(f"time {value}", [GOOD], timestamp=value)
      for value in (AT, AT * 1000, f"{AT}.5", f"{AT},5", iso(), iso().lower(),
                    iso().replace("+00:00", "z"), iso().replace("T", " "), None, "")),
    *(query(f"time {value}", counts={"no_time": 1}, timestamp=value)
      for value in ("soon", "10:30", "x" * 100)),
    query("a year old", counts={"too_old": 1}, timestamp=NOW - 366 * 86400),
    query("next week", counts={"in_the_future": 1}, timestamp=NOW + 7 * 86400),
    query("a GPS week rollover behind", counts={"clock_weeks_off": 1}, timestamp=weeks_ago(1024)),
    query("0", counts={"clock_not_set": 1}, timestamp=0),
]  # fmt: skip
FIELDS = [
    *(form(f"{name} {value!r}", [HERE | {ours: None}], **{name: value})
      for name, ours in (("speed", "speed"), ("bearing", "heading"), ("accuracy", "accuracy"),
                         ("altitude", "altitude"), ("batt", "battery"))
      for value in ("", "x", "NaN", "1e999", "true", "\0", "1e300")),
    query("1e9 knots", [{"speed": None}], speed="1e9"),
    query("unknown as -1", [{"speed": None, "heading": None, "battery": None}],
          speed="-1", bearing="-1", batt="-1"),
    query("decimal commas", [{"speed": 19.446, "altitude": 1.5}], speed="10,5", altitude="1,5"),
    query("heading for bearing", [{"heading": 12}], bearing=None, heading="12"),
    query("a heading of 360", [{"heading": 0}], bearing="360"),
    *(Odd(f"JSON, altitude {name}, as bytes", raw(traccar_9({"altitude": "RAW"}), value), [HERE])
      for name, value in BAD_VALUES.items()),
    Odd("JSON, negative accuracy", traccar_9({"accuracy": -1}), counts={"invalid_position": 1}),
]  # fmt: skip
ROWS = [*SHAPES, *ORDERS, *NAMES, *POSITIONS, *TIMES, *FIELDS]
