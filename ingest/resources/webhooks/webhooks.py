"""`/api/v1/webhooks` and `…/{webhook_id}`: make, change, show and delete them."""

from functools import partial
from http import HTTPStatus

import falcon
import falcon.asgi

from common.access.policy import Action
from common.contract import BODY_BYTES_MAX
from common.problem import NO_WEBHOOK, TOO_MANY_WEBHOOKS
from common.webhooks.limits import WEBHOOKS_MAX
from common.webhooks.request import decode_webhook
from common.webhooks.secret import SecretKeys, shown
from ingest.http.access import Access
from ingest.http.problem import HTTPProblem
from ingest.resources.history import History
from ingest.resources.route.page import dump
from ingest.resources.webhooks import store
from ingest.resources.webhooks.shapes import webhook_of


def unknown_webhook() -> HTTPProblem:
    """The answer where there is none of that id."""
    return HTTPProblem(NO_WEBHOOK, "there is no such webhook")


class WebhookItem:
    """One webhook."""

    def __init__(
        self, history: History, access: Access, keys: SecretKeys, *, private: bool
    ) -> None:
        self._history = history
        self._access = access
        self._keys = keys
        self._private = private

    async def on_put(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, webhook_id: str
    ) -> None:
        """201 with the secret, which is shown this once; 200 where there was one, changed now."""
        principal = self._access.admit(req, Action.MANAGE_WEBHOOKS, webhook_id=webhook_id)
        body = await self._access.body(principal, req, BODY_BYTES_MAX)
        update = decode_webhook(body, private=self._private)
        seed = self._keys.new_seed()
        put = partial(store.put, webhook_id=webhook_id, update=update, seed=seed)
        is_new = await self._history.run(put)
        if is_new is None:
            detail = f"there are {WEBHOOKS_MAX} webhooks, and may be no more"
            raise HTTPProblem(TOO_MANY_WEBHOOKS, detail)
        await self._show(resp, webhook_id, seed if is_new else None)
        if is_new:
            resp.status = HTTPStatus.CREATED

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, webhook_id: str
    ) -> None:
        """The webhook as it is."""
        self._access.admit(req, Action.MANAGE_WEBHOOKS, webhook_id=webhook_id)
        await self._show(resp, webhook_id)

    on_head = on_get

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, webhook_id: str
    ) -> None:
        """204. What waits for it is dropped."""
        self._access.admit(req, Action.MANAGE_WEBHOOKS, webhook_id=webhook_id)
        if not await self._history.run(partial(store.remove, webhook_id=webhook_id)):
            raise unknown_webhook()
        resp.status = HTTPStatus.NO_CONTENT

    async def _show(
        self, resp: falcon.asgi.Response, webhook_id: str, seed: bytes | None = None
    ) -> None:
        rows = await self._history.run(partial(store.read, webhook_id=webhook_id))
        if not rows:
            raise unknown_webhook()
        item = webhook_of(rows[0])
        if seed is not None:
            item["secret"] = shown(self._keys.secret(seed))
        resp.data = dump(item)


class WebhookList:
    """All webhooks: there are few."""

    def __init__(self, history: History, access: Access) -> None:
        self._history = history
        self._access = access

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """All of them, by their ids."""
        self._access.admit(req, Action.MANAGE_WEBHOOKS)
        items = [webhook_of(row) for row in await self._history.run(store.read)]
        resp.data = dump({"count": len(items), "webhooks": items})

    on_head = on_get
