"""Answers about webhooks, as types that the document describes."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from common.events.happening import HappeningType
from common.webhooks.request import WebhookFilter
from common.webhooks.trouble import Trouble

Count = Annotated[int, Meta(ge=0)]
Counted = Annotated[int, Meta(ge=0, le=10_000, description="counted up to 10,000")]
Secret = Annotated[str, Meta(description="signs; shown this once")]


class WebhookState(msgspec.Struct):
    """A webhook as it is."""

    webhook_id: str
    url: str
    events: list[HappeningType]
    filter: WebhookFilter | None
    active: bool
    # Why it was switched off by itself.
    disabled_reason: Literal["gone", "failing"] | None
    disabled_at: datetime | None
    failing_since: datetime | None
    waiting: Counted
    dead: Counted
    created_at: datetime
    updated_at: datetime


class WebhookMade(WebhookState):
    """A new webhook, with its secret."""

    secret: Secret


class WebhookPage(msgspec.Struct):
    """All webhooks, by their ids."""

    count: Count
    webhooks: list[WebhookState]


class NewSecret(msgspec.Struct):
    """Another secret; the one before signs too until `previous_until`."""

    webhook_id: str
    secret: Secret
    previous_until: datetime


class TestPut(msgspec.Struct):
    """A delivery is on its way."""

    webhook_id: str
    event_id: str


class DeliveryItem(msgspec.Struct):
    """An event for a webhook, and what the last attempt came to."""

    delivery_id: str
    event_id: str
    type: str
    driver_id: str | None
    state: Literal["waiting", "delivered", "dead"]
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: Count
    attempted_at: datetime | None
    took_ms: Count | None
    status: int | None
    error: Trouble | None


class DeliveryPage(msgspec.Struct):
    """A page of a webhook's deliveries, newest first."""

    webhook_id: str
    count: Count
    deliveries: list[DeliveryItem]
    next_cursor: str | None
