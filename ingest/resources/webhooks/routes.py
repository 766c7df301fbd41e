"""Which path leads to what about webhooks."""

from typing import Any

import falcon.asgi

from common.settings import Settings
from common.webhooks.secret import SecretKeys
from ingest.http.access import Access
from ingest.resources.history import History
from ingest.resources.webhooks.outbox import DeliveryList, SecretRotation, WebhookTest
from ingest.resources.webhooks.webhooks import WebhookItem, WebhookList


def add_webhook_routes(
    app: falcon.asgi.App[Any, Any], history: History, access: Access, settings: Settings
) -> None:
    """Add them all."""
    keys = SecretKeys(settings.webhook_keys())
    private = settings.webhook_private == "on"
    path = "/api/v1/webhooks"
    one = f"{path}/{{webhook_id}}"
    app.add_route(path, WebhookList(history, access))
    app.add_route(one, WebhookItem(history, access, keys, private=private))
    app.add_route(f"{one}/deliveries", DeliveryList(history, access))
    app.add_route(f"{one}/test", WebhookTest(history, access))
    app.add_route(f"{one}/rotate-secret", SecretRotation(history, access, keys))
