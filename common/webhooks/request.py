"""What a PUT says of a webhook, and what is wrong with it. Pure."""

from typing import Annotated

import msgspec
from msgspec import Meta

from common.bodies.fault_list import FaultList, decode_body
from common.events.happening import HappeningType
from common.ids import is_id
from common.webhooks.limits import URL_CHARS_MAX
from common.webhooks.url import fault_of

PATTERN_DETAIL = "must be an id, or the beginning of ids and *"
Url = Annotated[str, Meta(min_length=1, max_length=URL_CHARS_MAX, description="http or https")]
Pattern = Annotated[str, Meta(max_length=65, description="an id, or the beginning of ids and *")]
Types = Annotated[list[HappeningType], Meta(min_length=1, max_length=len(HappeningType))]


class WebhookFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of which driver, order and fence; all that is named must fit.

    A member that is not known is refused: overlooked, it would let through what others do.
    """

    driver_id: Pattern | None = None
    order_id: Pattern | None = None
    geofence_id: Pattern | None = None


class WebhookUpdate(msgspec.Struct, frozen=True):
    """A webhook as it shall be."""

    url: Url
    events: Types
    filter: WebhookFilter | None = None
    active: bool = True


def decode_webhook(body: bytes, *, private: bool) -> WebhookUpdate:
    """The body of a PUT. `private`: addresses that are not public are taken.

    Raises `InvalidUpdate`: 400 for what is no JSON, 422 with every field at fault.
    """
    update = decode_body(body, WebhookUpdate)
    faults = FaultList()
    if (detail := fault_of(update.url, private=private)) is not None:
        faults.add("url", detail)
    for name, pattern in msgspec.structs.asdict(update.filter or WebhookFilter()).items():
        if pattern is not None and not _is_pattern(pattern):
            faults.add(f"filter.{name}", PATTERN_DETAIL)
    faults.refuse()
    return update


def _is_pattern(text: str) -> bool:
    beginning = text.removesuffix("*")
    # Of ids that begin with a dot only the dot alone is none.
    return is_id(beginning) or (text.endswith("*") and beginning in {".", ".."})
