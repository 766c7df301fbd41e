"""Which webhooks this process sends to: those of the shares that its connection holds.

One process sends to a webhook at a time, so that bounds and order hold whatever runs beside it.
The shares are held by the connection's own locks: when it is gone they are another's at once.
"""

import asyncio
from collections.abc import Iterable

import asyncpg

from common.log import get
from common.webhooks.limits import RETRY_S
from common.webhooks.secret import SecretKeys
from common.webhooks.wake import CHANNEL
from consumers.hooks.chores import Chores
from consumers.hooks.courier import Courier
from consumers.hooks.http import WebhookClient
from consumers.hooks.outbox import Webhook, WebhookOutbox
from consumers.insight.shares import SHARES
from consumers.shares import Shares

# First key of the advisory locks: "hook" as bytes.
LOCK_CLASS = 0x686F6F6B
# The list is looked at so often; a change of it is notified as well.
LOOK_EVERY_S = 1.0
TIDY_EVERY_S = 60.0
# While a receiver is only probed, what waited behind one that it refused has this long to be tried;
# of a receiver that is dead thousands would wait for a probe each.
PROBED_LATE_S = 3600.0
NOT_PUT = "after a day without a sender no events are put into the outbox: those are lost to it"


class Dispatch:
    """Couriers of the webhooks that are ours, while the connection lives."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        outbox: WebhookOutbox,
        keys: SecretKeys,
        *,
        private: bool,
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._keys = keys
        self._private = private
        self._shares = Shares(connection, LOCK_CLASS, SHARES)
        self._couriers: dict[int, tuple[Courier, asyncio.Task[None]]] = {}
        self._ours: list[Webhook] = []
        self._changed = asyncio.Event()
        self._log = get("hooks")

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until `stopping`, then let what is on its way come to its end.

        Raises what the database raises; what is on its way is cut off then, and sent again.
        """
        await self._connection.add_listener(CHANNEL, self._hear)
        self._connection.add_termination_listener(lambda _: self._changed.set())
        async with asyncio.TaskGroup() as group:
            tidying = group.create_task(self._tidy())
            stop = group.create_task(stopping.wait())
            while not stopping.is_set():
                self._changed.clear()
                await self._fit(group)
                change = asyncio.create_task(self._changed.wait())
                await asyncio.wait(
                    (change, stop), timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED
                )
                change.cancel()
            tidying.cancel()
            for courier, _ in self._couriers.values():
                courier.stop()

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        text = str(payload)
        if not text:
            self._changed.set()
        elif text.isdigit() and int(text) in self._couriers:
            self._couriers[int(text)][0].wake()

    async def _fit(self, group: asyncio.TaskGroup) -> None:
        """Have a courier for each webhook that is ours and switched on, and no others."""
        held = await self._shares.balance()
        self._ours = [w for w in await self._outbox.webhooks() if w.hook % SHARES in held]
        wanted = {webhook.hook: webhook for webhook in self._ours if webhook.active}
        self._forget(hook for hook, (_, task) in self._couriers.items() if task.done())
        ours = {webhook.hook for webhook in self._ours}
        for hook in self._couriers.keys() - wanted.keys():
            courier, task = self._couriers[hook]
            if hook in ours:
                courier.stop()
            else:
                # Another process has it by now.
                task.cancel()
        for hook, webhook in wanted.items():
            if hook not in self._couriers:
                self._start(group, webhook)
            elif self._couriers[hook][0].webhook.url != webhook.url:
                # What is known of the old receiver says nothing of the new one.
                self._couriers[hook][0].stop()
            else:
                self._couriers[hook][0].webhook = webhook

    def _forget(self, hooks: Iterable[int]) -> None:
        for hook in list(hooks):
            del self._couriers[hook]

    def _start(self, group: asyncio.TaskGroup, webhook: Webhook) -> None:
        client = WebhookClient(private=self._private)
        courier = Courier(webhook, self._outbox, self._keys, client)

        async def run() -> None:
            async with client:
                await courier.run()

        self._couriers[webhook.hook] = (courier, group.create_task(run()))

    def _late_s(self, webhook: Webhook) -> float | None:
        """How long beyond its time a delivery is kept for a last try; None: as long as it takes."""
        if not webhook.active:
            return 0.0
        found = self._couriers.get(webhook.hook)
        return PROBED_LATE_S if found is not None and found[0].pace.probing else None

    async def _tidy(self) -> None:
        chores = Chores(self._outbox)
        while True:
            away_s = await self._outbox.note_sender()
            if away_s > RETRY_S:
                self._log.error("hooks.were_away", hours=round(away_s / 3600), why=NOT_PUT)
            for webhook in self._ours:
                await chores.tidy(webhook, self._late_s(webhook))
            await asyncio.sleep(TIDY_EVERY_S)
