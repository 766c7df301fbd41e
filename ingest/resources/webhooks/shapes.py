"""Rows of webhooks and deliveries as they are shown. Pure."""

from collections.abc import Mapping
from typing import Any

Item = dict[str, Any]
FILTERS = ("driver_id", "order_id", "geofence_id")


def webhook_of(row: Mapping[str, Any]) -> Item:
    """A webhook, without its secret."""
    named = {name: row[name] for name in FILTERS if row[name] is not None}
    return {
        "webhook_id": row["webhook_id"],
        "url": row["url"],
        "events": row["events"],
        "filter": named or None,
        "active": row["active"],
        "disabled_reason": row["disabled_reason"],
        "disabled_at": row["disabled_at"],
        "failing_since": row["failing_since"],
        "waiting": row["waiting"],
        "dead": row["dead"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def delivery_of(row: Mapping[str, Any]) -> Item:
    """A delivery; its number as text, because it may grow beyond what a browser counts."""
    return {**row, "delivery_id": str(row["delivery_id"])}
