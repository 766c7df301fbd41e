"""`/api/v1/webhooks/{webhook_id}/…`: what was delivered and why not, a test, another secret."""

import uuid
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from urllib.parse import urlencode

import falcon
import falcon.asgi

from common.access.policy import Action
from common.problem import WEBHOOK_OFF
from common.webhooks.limits import DELIVERIES, DELIVERIES_MAX
from common.webhooks.secret import SecretKeys, shown
from ingest.http.access import Access
from ingest.http.problem import HTTPProblem
from ingest.http.queries.query import ParamReader, Params
from ingest.resources.history import History
from ingest.resources.route.page import dump
from ingest.resources.webhooks import store
from ingest.resources.webhooks.shapes import delivery_of
from ingest.resources.webhooks.webhooks import unknown_webhook

STATES = ("waiting", "delivered", "dead")
TEST_TYPE = "webhook.test"
# The largest number that a delivery can have.
NUMBER_MAX = 2**63 - 1


class _OfWebhook:
    """What all paths below a webhook have in common."""

    def __init__(self, history: History, access: Access) -> None:
        self._history = history
        self._access = access

    async def _require(self, webhook_id: str) -> None:
        if not await self._history.run(partial(store.read, webhook_id=webhook_id)):
            raise unknown_webhook()


class DeliveryList(_OfWebhook):
    """A webhook's deliveries, newest first."""

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, webhook_id: str
    ) -> None:
        """One page; a Link header leads to the next."""
        self._access.admit(req, Action.MANAGE_WEBHOOKS, webhook_id=webhook_id)
        state, limit, before = read_deliveries_query(req.params)
        states = STATES if state == "" else (state,)
        rows = await self._history.run(
            partial(
                store.deliveries,
                webhook_id=webhook_id,
                states=states,
                before=before,
                limit=limit + 1,
            )
        )
        if not rows:
            await self._require(webhook_id)
        items = [delivery_of(row) for row in rows[:limit]]
        cursor = items[-1]["delivery_id"] if len(rows) > limit else None
        resp.data = dump(
            {
                "webhook_id": webhook_id,
                "count": len(items),
                "deliveries": items,
                "next_cursor": cursor,
            }
        )
        if cursor is not None:
            following = {"limit": limit, "cursor": cursor} | ({"state": state} if state else {})
            resp.append_link(f"{req.path}?{urlencode(following)}", "next")

    on_head = on_get


def read_deliveries_query(params: Params) -> tuple[str, int, int]:
    """State ('' for all), limit, and the number that the page begins below.

    Raises `InvalidUpdate`.
    """
    reader = ParamReader(params)
    state = reader.choice("state", STATES, "")
    limit = reader.integer("limit", DELIVERIES, 1, DELIVERIES_MAX)
    cursor, before = reader.text("cursor"), NUMBER_MAX
    if cursor is not None:
        if cursor.isascii() and cursor.isdigit() and len(cursor) < 19:
            before = int(cursor)
        else:
            reader.fault("cursor", "must be the next_cursor of an earlier answer")
    reader.done()
    return state, limit, before


class WebhookTest(_OfWebhook):
    """A delivery that says nothing, to see whether it arrives."""

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, webhook_id: str
    ) -> None:
        """202 with its event's id: the deliveries say what became of it. It is tried once."""
        self._access.admit(req, Action.MANAGE_WEBHOOKS, webhook_id=webhook_id)
        event_id = f"evt_{uuid.uuid4().hex}"
        body = dump(
            {
                "event_id": event_id,
                "type": TEST_TYPE,
                "driver_id": None,
                "at": datetime.now(UTC),
                "recorded_at": None,
                "data": {"webhook_id": webhook_id},
            }
        )
        put = partial(
            store.test, webhook_id=webhook_id, event_id=event_id, kind=TEST_TYPE, body=body
        )
        if not await self._history.run(put):
            await self._require(webhook_id)
            raise HTTPProblem(WEBHOOK_OFF, "the webhook is switched off")
        resp.status = HTTPStatus.ACCEPTED
        resp.data = dump({"webhook_id": webhook_id, "event_id": event_id})


class SecretRotation(_OfWebhook):
    """Another secret; the old one signs too for a day."""

    def __init__(self, history: History, access: Access, keys: SecretKeys) -> None:
        super().__init__(history, access)
        self._keys = keys

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, webhook_id: str
    ) -> None:
        """200 with the new secret, which is shown this once."""
        self._access.admit(req, Action.MANAGE_WEBHOOKS, webhook_id=webhook_id)
        seed = self._keys.new_seed()
        until = await self._history.run(partial(store.rotate, webhook_id=webhook_id, seed=seed))
        if until is None:
            raise unknown_webhook()
        secret = shown(self._keys.secret(seed))
        resp.data = dump({"webhook_id": webhook_id, "secret": secret, "previous_until": until})
