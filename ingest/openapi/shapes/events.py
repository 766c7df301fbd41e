"""Answers about what happened, as types that the document describes."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from common.events.happening import HappeningType


class Event(msgspec.Struct):
    """What happened, once. The same object in the feed, on the socket and in webhooks."""

    event_id: Annotated[str, Meta(description="the same whenever and wherever it is told")]
    type: HappeningType
    driver_id: str | None
    at: Annotated[datetime, Meta(description="when it was found out")]
    recorded_at: Annotated[
        datetime | None, Meta(description="of the fix that caused it; null where none did")
    ]
    data: dict[str, Any]
    geofence_id: str | UnsetType = UNSET
    order_id: str | UnsetType = UNSET


class EventPage(msgspec.Struct):
    """A page of what happened, oldest first."""

    events: list[Event]
    count: Annotated[int, Meta(ge=0)]
    next_cursor: Annotated[str | None, Meta(description="for the next page; null on the last one")]
    cursor: Annotated[
        str | None,
        Meta(description="where this page ends: what happens later is asked for with it"),
    ]
