"""What an app sent, and who it says it is. Pure.

Whose fixes they are is a matter of how the app is set up, not of one fix: a request that names
nobody is refused with 4xx, so that the phone keeps its queue until the set-up is right.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl

import msgspec

from common.errors import Fault, InvalidUpdate
from common.event import MALFORMED, require_id

# Fields of a query or a form. Traccar Client sends some twenty; each costs a little to split.
FIELDS_MAX = 200
FORM = "application/x-www-form-urlencoded"

Params = Mapping[str, str]

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class Upload:
    """One request of an app."""

    body: bytes = b""
    query: str = ""
    content_type: str = ""
    # A driver that headers name, as OwnTracks does.
    user: str | None = None
    # The driver whose token came with the request: for requests that name nobody.
    token_driver_id: str | None = None

    @cached_property
    def params(self) -> Params:
        """The query string's parameters."""
        return split(self.query)

    @property
    def is_form(self) -> bool:
        """Whether the body says that it is a form."""
        return self.content_type.partition(";")[0].strip().lower() == FORM

    def driver_id(self, *named: object) -> str:
        """Whose fix it is: the address's `driver_id`, else what the app named, else the token's.

        Raises `InvalidUpdate` when nobody is named, or by something that is no id.
        """
        for name in (self.params.get("driver_id"), *named, self.token_driver_id):
            text = _text(name)
            if text:
                require_id("driver_id", text)
                return text
        raise InvalidUpdate(
            "the request names no driver; see how the app is set up",
            faults=(Fault("driver_id", "is required"),),
        )

    def order_id(self) -> str | None:
        """The order that the address names, for all fixes. Raises `InvalidUpdate`."""
        text = self.params.get("order_id")
        if not text:
            return None
        require_id("order_id", text)
        return text


@dataclass(slots=True)
class Json:
    """A decoded body; `faulty` when it was not JSON."""

    value: object = None
    faulty: bool = field(default=False)


def split(text: str) -> Params:
    """Parameters by name, the first of each. Raises `InvalidUpdate` when there are too many."""
    try:
        pairs = parse_qsl(text, errors="replace", max_num_fields=FIELDS_MAX)
    except ValueError as e:
        raise InvalidUpdate(f"more than {FIELDS_MAX} fields") from e
    params: dict[str, str] = {}
    for name, value in pairs:
        params.setdefault(name, value)
    return params


def decode_body(body: bytes) -> Json:
    """The body as JSON; never fails, says so instead."""
    try:
        return Json(_decode(body))
    except MALFORMED:
        return Json(faulty=True)


def member(value: object, *path: str) -> object:
    """What lies at `path` inside objects, or None."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def items(value: object) -> list[object]:
    """A list as it is, nothing as no items, anything else as one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(value: object) -> str:
    """A name as text; apps also send numbers."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
