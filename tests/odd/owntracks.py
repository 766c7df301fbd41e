"""OwnTracks in HTTP mode."""

from base64 import b64encode
from typing import Any

from tests.odd import AT, BAD_VALUES, KEPT, NO_NUMBERS, NOW, Odd, iso, raw, weeks_ago

HERE = {"latitude": 48.85, "longitude": 2.29, "driver_id": "jane"}
GOOD = {"speed": 54, "heading": 271, "accuracy": 12, "altitude": 35, "battery": 71, **HERE}


def message(**members: Any) -> dict[str, Any]:
    """A location as OwnTracks sends it; `members` replace some."""
    return {
        "_type": "location", "lat": 48.85, "lon": 2.29, "tst": AT, "acc": 12, "alt": 35,
        "batt": 71, "vel": 54, "cog": 271, "tid": "JJ", "topic": "owntracks/jane/phone", **members,
    }  # fmt: skip


def basic(text: str) -> dict[str, str]:
    return {"authorization": f"Basic {b64encode(text.encode()).decode()}"}


KINDS = [
    Odd("a good one", message(), [GOOD]),
    Odd("nothing", b"", counts={"no_interest": 1}),
    Odd("blanks", b" \n", counts={"no_interest": 1}),
    *(Odd(kind, message(_type=kind), counts={"no_interest": 1})
      for kind in ("waypoint", "waypoints", "transition", "lwt", "card", "status", "steps", "new")),
    Odd("encrypted", {"_type": "encrypted", "data": "x"}, counts={"encrypted": 1}),
    Odd("cut short", b'{"_type":"loc', counts={"unreadable": 1}),
    Odd("no type", {"lat": 1, "lon": 2, "tst": AT}, phone=KEPT),
    Odd("a type that is no text", message(_type=1), phone=KEPT),
    Odd("a list", [message()], phone=KEPT),
    Odd("an empty object", {}, phone=KEPT),
    Odd("text", "location", phone=KEPT),
    Odd("Overland's batch", {"locations": []}, phone=KEPT),
    Odd("an SDK's location", {"location": {"coords": {"latitude": 1, "longitude": 2}}}, phone=KEPT),
]  # fmt: skip
NAMES = [
    *(Odd(f"topic {topic}", message(topic=topic), [HERE])
      for topic in ("owntracks/jane/phone", "/owntracks/jane/phone")),
    *(Odd(f"topic {topic}", message(topic=topic), phone=KEPT)
      for topic in ("prefix/owntracks/phone1", "home/owntracks/jane/phone", "owntracks/jane",
                    "owntracks/jane/phone/extra", "owntracks//phone", "jane/phone/x", "", None, 7)),
    Odd("another topic, and a user in the address", message(topic="home/a/b"), [HERE],
        query="u=jane"),
    Odd("a user in the header", message(topic="x"), [HERE], headers={"x-limit-u": "jane"}),
    Odd("a user's name", message(topic="x"), [HERE], headers=basic("jane:secret")),
    Odd("a password with colons", message(topic="x"), [HERE], headers=basic("jane:pa:ss")),
    Odd("a header that is no id", message(), headers={"x-limit-u": "my phone"}, phone=KEPT),
    Odd("order in the address", message(), [{"order_id": "o-1"}], query="order_id=o-1"),
    Odd("order in the address that is none", message(), query="order_id=%23A12", phone=KEPT),
]  # fmt: skip
POSITIONS = [
    *(Odd(f"lat {value!r}", message(lat=value), counts={"no_position": 1})
      for value in (91, *NO_NUMBERS)),
    Odd("lat as text", message(lat="48,85"), [GOOD]),
    Odd("no lon", {"_type": "location", "lat": 1, "tst": AT, "topic": "owntracks/jane/phone"},
        counts={"no_position": 1}),
    Odd("negative accuracy: iOS knows no position", message(lat=0, lon=0, acc=-1),
        counts={"invalid_position": 1}),
    *(Odd(f"lat {name}, as bytes", raw(message(lat="RAW"), BAD_VALUES[name]),
          counts={"no_position": 1}) for name in ("NaN", "nan", "nothing", "1e999", "undefined")),
]  # fmt: skip
TIMES = [
    *(Odd(f"time {value!r}", message(tst=value), [GOOD])
      for value in (AT, AT * 1000, str(AT), iso(), AT + 0.5, None)),
    *(Odd(f"time {value!r}", message(tst=value), counts={"no_time": 1})
      for value in ("soon", True, 10**400)),
    Odd("a year old", message(tst=NOW - 366 * 86400), counts={"too_old": 1}),
    Odd("next week", message(tst=NOW + 7 * 86400), counts={"in_the_future": 1}),
    Odd("a GPS week rollover behind", message(tst=weeks_ago(1024)), counts={"clock_weeks_off": 1}),
    Odd("0", message(tst=0), counts={"clock_not_set": 1}),
]  # fmt: skip
FIELDS = [
    *(Odd(f"{name} {value!r}", message(**{name: value}), [HERE | {ours: None}])
      for name, ours in (("vel", "speed"), ("cog", "heading"), ("acc", "accuracy"),
                         ("alt", "altitude"), ("batt", "battery"))
      for value in (1e300, *NO_NUMBERS)),
    Odd("unknown as -1", message(vel=-1, cog=-1, batt=-1),
        [{"speed": None, "heading": None, "battery": None}]),
    Odd("2,000 km/h", message(vel=2000), [{"speed": None}]),
    Odd("without what is zero", {k: v for k, v in message().items() if k not in ("vel", "alt")},
        [HERE | {"speed": None}]),
    *(Odd(f"alt {name}, as bytes", raw(message(alt="RAW"), value), [HERE])
      for name, value in BAD_VALUES.items()),
    Odd("a network's name cut in an emoji", raw(message(SSID="RAW"), b'"caf\xc3"'), [GOOD]),
    Odd("a byte order mark", b"\xef\xbb\xbf" + raw(message(), b""), [GOOD]),
]  # fmt: skip
ROWS = [*KINDS, *NAMES, *POSITIONS, *TIMES, *FIELDS]
