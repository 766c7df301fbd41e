"""What a PUT says of a webhook, and what is wrong with it. Pure."""

from typing import Annotated

import msgspec
from msgspec import Meta

from common.errors import Fault, InvalidUpdate
from common.event import MALFORMED
from common.events.happening import HappeningType
from common.ids import is_id
from common.webhooks.limits import URL_CHARS_MAX
from common.webhooks.url import fault_of

PATTERN_DETAIL = "must be an id, or the beginning of ids and *"
Url = Annotated[str, Meta(min_length=1, max_length=URL_CHARS_MAX, description="http or https")]
Pattern = Annotated[str, Meta(max_length=65, description="an id, or the beginning of ids and *")]
Types = Annotated[list[HappeningType], Meta(min_length=1, max_length=len(HappeningType))]


class WebhookFilter(msgspec.Struct, frozen=True):
    """Of which driver, order and fence; all that is named must fit."""

    driver_id: Pattern | None = None
    order_id: Pattern | None = None
    geofence_id: Pattern | None = None


class WebhookUpdate(msgspec.Struct, frozen=True):
    """A webhook as it shall be."""

    url: Url
    events: Types
    filter: WebhookFilter | None = None
    active: bool = True


_decode = msgspec.json.Decoder(WebhookUpdate).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode


def decode_webhook(body: bytes, *, private: bool) -> WebhookUpdate:
    """The body of a PUT. `private`: addresses that are not public are taken.

    Raises `InvalidUpdate`: 400 for what is no JSON, 422 with every field at fault.
    """
    try:
        update = _decode(body)
    except MALFORMED as e:
        raise _invalid(body) from e
    faults = []
    if (detail := fault_of(update.url, private=private)) is not None:
        faults.append(Fault("url", detail))
    for name, pattern in msgspec.structs.asdict(update.filter or WebhookFilter()).items():
        if pattern is not None and not _is_pattern(pattern):
            faults.append(Fault(f"filter.{name}", PATTERN_DETAIL))
    if faults:
        raise _refusal(faults)
    return update


def _is_pattern(text: str) -> bool:
    beginning = text.removesuffix("*")
    # Of ids that begin with a dot only the dot alone is none.
    return is_id(beginning) or (text.endswith("*") and beginning in {".", ".."})


def _invalid(body: bytes) -> InvalidUpdate:
    try:
        fields = _decode_fields(_decode_any(body))
    except msgspec.ValidationError:
        return InvalidUpdate("the body must be a JSON object")
    except MALFORMED as e:
        return InvalidUpdate(f"the body is not JSON: {e}", status=400)
    faults = []
    for member in msgspec.structs.fields(WebhookUpdate):
        if member.name not in fields:
            if member.required:
                faults.append(Fault(member.name, "is required"))
            continue
        try:
            msgspec.json.decode(fields[member.name], type=member.type)
        except MALFORMED as e:
            faults.append(Fault(member.name, _detail(str(e))))
    return _refusal(faults) if faults else InvalidUpdate("a value is out of range")


def _detail(message: str) -> str:
    if "enum value" in message:
        return f"must be of {', '.join(HappeningType)}"
    return message.split(" - at `", maxsplit=1)[0].replace(" | null", "").replace("`", "")


def _refusal(faults: list[Fault]) -> InvalidUpdate:
    detail = "; ".join(f"{fault.field}: {fault.detail}" for fault in faults)
    return InvalidUpdate(detail, faults=tuple(faults))
