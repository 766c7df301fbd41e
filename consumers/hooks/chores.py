"""Keeps the outbox small: what had its time, what is too much, what is long over."""

from consumers.hooks.outbox import Webhook, WebhookOutbox

# Deliveries of one webhook that may wait; the oldest beyond are given up. Ten a second fill it in
# seven hours; each takes some 300 bytes.
WAITING_MAX = 250_000
# What is kept to be looked at, and to be replayed: so many of each webhook, and so long.
DELIVERED_MAX, DELIVERED_S = 10_000, 7 * 86_400.0
DEAD_MAX, DEAD_S = 250_000, 30 * 86_400.0
# Rows of one statement, so that none takes long.
ROWS_MAX = 5000


class Chores:
    """What is done for a webhook once in a while, sent to or not."""

    def __init__(self, outbox: WebhookOutbox) -> None:
        self._outbox = outbox

    async def tidy(self, webhook: Webhook, late_s: float | None) -> None:
        """All of them. Deliveries that are `late_s` beyond their time are given up without
        another try; None: all get one.
        """
        if webhook.removed:
            await self._all("remove", webhook.hook, ROWS_MAX)
            await self._outbox.run("remove_webhook", webhook.hook)
            return
        if late_s is not None:
            await self._all("expire", webhook.hook, ROWS_MAX, late_s)
        await self._all("shed", webhook.hook, ROWS_MAX, WAITING_MAX)
        for state, most, age_s in (
            ("delivered", DELIVERED_MAX, DELIVERED_S),
            ("dead", DEAD_MAX, DEAD_S),
        ):
            await self._all("forget", webhook.hook, ROWS_MAX, state, most, age_s)

    async def _all(self, name: str, *arguments: object) -> None:
        while await self._outbox.run(name, *arguments) >= ROWS_MAX:
            pass
