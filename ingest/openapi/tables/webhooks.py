"""Paths of webhooks. Data only."""

from typing import Annotated, Literal

from msgspec import Meta

from common.access.policy import Action
from common.event import Id
from common.webhooks.limits import DELIVERIES, DELIVERIES_MAX, WEBHOOKS_MAX
from common.webhooks.request import WebhookUpdate
from ingest.openapi.operation import JSON, Media, Operation, Param, answer
from ingest.openapi.shapes.events import Event
from ingest.openapi.shapes.webhooks import (
    DeliveryPage,
    NewSecret,
    TestPut,
    WebhookMade,
    WebhookPage,
    WebhookState,
)
from ingest.openapi.tables.drivers import AT, LATER
from ingest.openapi.tables.events import EVENT

PATH = "/api/v1/webhooks"
ONE = f"{PATH}/{{webhook_id}}"
WEBHOOK = Param("webhook_id", Id, "Which webhook.", "shop", "path")
ASKED = {
    "url": "https://shop.example/fleetline", "events": ["geofence.enter", "order.delivered"],
    "filter": {"driver_id": "van-*"},
}  # fmt: skip
FOUND = {
    "webhook_id": "shop", **ASKED, "active": True, "disabled_reason": None, "disabled_at": None,
    "failing_since": None, "waiting": 0, "dead": 0, "created_at": AT, "updated_at": AT,
}  # fmt: skip
SECRET = "whsec_NWQwNWI3ZTU0ODk5NDFmZGEyNzU5NTk4NDM0NDM0NTQ="  # noqa: S105 - an example
EVENT_ID = "evt_1f0c6a4e2b7d4c0f9a3e5d8c7b6a5f4e"
DELIVERY = {
    "delivery_id": "4711", "event_id": EVENT_ID, "type": "geofence.enter", "driver_id": "van-7",
    "state": "waiting", "created_at": AT, "next_attempt_at": LATER, "attempts": 1,
    "attempted_at": AT, "took_ms": 104, "status": 500, "error": "status",
}  # fmt: skip

PUT = Operation(
    "put", ONE, "putWebhook", "Webhooks", "Make or change a webhook",
    "The URL is posted every event of these types that fits the filter, signed as Standard "
    "Webhooks say, each driver's in their order, at least once, for 24 hours. Ids in the filter "
    f"may end in `*`. A PUT switches it on, unless it says otherwise. At most {WEBHOOKS_MAX}.",
    answers={
        200: answer("It is changed.", WebhookState, FOUND),
        201: answer("It is new.", WebhookMade, {**FOUND, "secret": SECRET}),
    },
    errors=(400, 408, 409, 413, 415, 422, 503),
    params=(WEBHOOK,),
    body={JSON: Media(WebhookUpdate, ASKED)},
    action=Action.MANAGE_WEBHOOKS,
)  # fmt: skip
READ = Operation(
    "get", ONE, "readWebhook", "Webhooks", "A webhook",
    "With what waits, and why it was switched off, if it was.",
    answers={200: answer("The webhook.", WebhookState, FOUND)},
    errors=(404, 422, 503),
    params=(WEBHOOK,),
    action=Action.MANAGE_WEBHOOKS,
)  # fmt: skip
DELETE = Operation(
    "delete", ONE, "deleteWebhook", "Webhooks", "Delete a webhook",
    "What waits for it is dropped.",
    answers={204: answer("It is gone.")},
    errors=(404, 422, 503),
    params=(WEBHOOK,),
    action=Action.MANAGE_WEBHOOKS,
)  # fmt: skip
LIST = Operation(
    "get", PATH, "listWebhooks", "Webhooks", "All webhooks",
    "By their ids.",
    answers={200: answer("All of them.", WebhookPage, {"count": 1, "webhooks": [FOUND]})},
    errors=(503,),
    action=Action.MANAGE_WEBHOOKS,
)  # fmt: skip
DELIVERED = Operation(
    "get", f"{ONE}/deliveries", "listDeliveries", "Webhooks", "What was delivered, and why not",
    "Newest first. What was delivered is kept for seven days (10,000 of each webhook), what is "
    "dead for thirty.",
    answers={200: answer(
        "A page; a Link header with `rel=next` leads to the next.",
        DeliveryPage,
        {"webhook_id": "shop", "count": 1, "deliveries": [DELIVERY], "next_cursor": None},
    )},
    errors=(404, 422, 503),
    params=(
        WEBHOOK,
        Param("state", Literal["waiting", "delivered", "dead"], "Default: all.", "waiting"),
        Param("limit", Annotated[int, Meta(ge=1, le=DELIVERIES_MAX)],
              f"Default {DELIVERIES}.", DELIVERIES),
        Param("cursor", str, "The `next_cursor` of the page before.", "4711"),
    ),
    action=Action.MANAGE_WEBHOOKS,
)  # fmt: skip
TEST = Operation(
    "post", f"{ONE}/test", "testWebhook", "Webhooks", "Send a test",
    "A signed event of the type `webhook.test`, tried once; the deliveries say what became of it. "
    "409 when the webhook is switched off.",
    answers={202: answer(
        "It is on its way.", TestPut, {"webhook_id": "shop", "event_id": EVENT_ID},
    )},
    errors=(404, 409, 422, 503),
    params=(WEBHOOK,),
    action=Action.MANAGE_WEBHOOKS,
)  # fmt: skip
ROTATE = Operation(
    "post", f"{ONE}/rotate-secret", "rotateWebhookSecret", "Webhooks", "Another secret",
    "For 24 hours the old one signs too: `webhook-signature` holds both.",
    answers={200: answer(
        "The new secret.", NewSecret,
        {"webhook_id": "shop", "secret": SECRET, "previous_until": LATER},
    )},
    errors=(404, 422, 503),
    params=(WEBHOOK,),
    action=Action.MANAGE_WEBHOOKS,
)  # fmt: skip

# What we ask of others: the `webhooks` of the document.
RECEIVED = Operation(
    "post", "event", "receiveEvent", "Webhooks", "An event, posted to your URL",
    "Answer with any 2xx within 15 seconds. 410 switches the webhook off; everything else is "
    "tried again for 24 hours, before later events of the same driver. The same event may come "
    "more than once: it has the same id each time. A test is of the type `webhook.test`.",
    answers={204: answer("Taken. Any 2xx says so."), 410: answer("No more, please.")},
    params=(
        Param("webhook-id", str, "The `event_id`.", EVENT["event_id"], "header", required=True),
        Param("webhook-timestamp", Annotated[int, Meta(ge=0)],
              "When it was sent, in epoch seconds.", 1772323200, "header", required=True),
        Param("webhook-signature", str,
              "One or two signatures, divided by a blank: `v1,` and HMAC-SHA256 in base64.",
              "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "header", required=True),
    ),
    body={JSON: Media(Event, EVENT)},
)  # fmt: skip

OPERATIONS = (PUT, READ, DELETE, LIST, DELIVERED, TEST, ROTATE)
