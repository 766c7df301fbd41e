"""What an app sent, and who it says it is. Pure.

Whose fixes they are is a matter of how the app is set up, not of one fix: a request that names
nobody is refused with 4xx, so that the phone keeps its queue until the set-up is right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl

from common.errors import Fault, InvalidUpdate
from common.ids import require_id
from ingest.apps.values import name_text

# Fields of a query or a form. Traccar Client sends some twenty; each costs a little to split.
FIELDS_MAX = 200
# Locations in one body: as many as the default burst of a driver, and some 10 ms of work.
ITEMS_MAX = 5000
FORM = "application/x-www-form-urlencoded"

Params = Mapping[str, str]


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
            text = name_text(name)
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


def member(value: object, *path: str) -> object:
    """What lies at `path` inside objects, or None."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def first_member(value: object, names: tuple[str, ...]) -> object:
    """The first of `names` that an object has a value for, or None."""
    return next((found for name in names if (found := member(value, name)) is not None), None)


def items(value: object) -> list[object]:
    """A list as it is, nothing as no items, anything else as one.

    Raises `InvalidUpdate` (413) when there are more than `ITEMS_MAX`.
    """
    if value is None:
        return []
    found = value if isinstance(value, list) else [value]
    if len(found) > ITEMS_MAX:
        raise InvalidUpdate(f"the body may hold {ITEMS_MAX} locations at most", status=413)
    return found


def unknown_shape(expected: str) -> InvalidUpdate:
    """The refusal of a body in which nothing is what this app sends: a fault of the set-up."""
    return InvalidUpdate(f"the body is not what this path takes: {expected}; see docs/apps.md")
