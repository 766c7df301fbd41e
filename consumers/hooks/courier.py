"""Sends to one webhook, until it is told to stop. The rules are `pace` and `schedule`.

At most one delivery of each driver is on its way, and the next one of that driver is only taken
once the database knows what came of it. So a driver's events arrive in their order, whenever this
process dies; what was on its way then is sent again.
"""

import asyncio
import time

from common.log import Repeated, get
from common.webhooks.secret import SecretKeys, UnknownKey, signature
from common.webhooks.trouble import Trouble
from consumers.hooks.http import WebhookClient
from consumers.hooks.outbox import Delivery, Settlement, Webhook, WebhookOutbox
from consumers.hooks.outcome import OURS, Attempt
from consumers.hooks.pace import SendingPace
from consumers.hooks.schedule import FAILING_MAX_S, retry_delay_s

# Deliveries taken at once from the outbox. More would be sent later than others that wait longer.
TAKE_MAX = 64
# A notification wakes it; this is for one that was lost with its connection.
LOOK_EVERY_S = 30.0
# While the receiver is only probed new deliveries wake nobody: they could be thousands.
PROBING_LOOK_EVERY_S = 5.0
# Said of a webhook that failed for days, and of one that answered 410.
FAILING, GONE = "failing", "gone"


class Courier:
    """One webhook's deliveries."""

    def __init__(
        self, webhook: Webhook, outbox: WebhookOutbox, keys: SecretKeys, client: WebhookClient
    ) -> None:
        self.webhook = webhook
        self.pace = SendingPace()
        self._outbox = outbox
        self._keys = keys
        self._client = client
        self._woken = asyncio.Event()
        self._stopping = False
        self._failing = webhook.failing
        # It took one again after it was only probed.
        self._is_back = False
        # Taken from the outbox and not sent, on their way, and back.
        self._ready: list[Delivery] = []
        self._under_way: set[int] = set()
        self._settled: list[Settlement] = []
        self._log = get("hooks")
        self._trouble = Repeated(self._log, "hooks.failing")

    def wake(self) -> None:
        """Something may be due. While the receiver is only probed that is no news."""
        if not self.pace.probing:
            self._woken.set()

    def stop(self) -> None:
        """Send nothing more. `run` returns once what is on its way has come to its end."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Send what is due. Raises what the database raises; what is on its way is cut off then."""
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                self._woken.clear()
                wait_s = await self._turn(group)
                try:
                    async with asyncio.timeout(wait_s):
                        await self._woken.wait()
                except TimeoutError:
                    continue
            while self._under_way:
                self._woken.clear()
                # What has come back is not lost if the rest takes longer than the stop may.
                await self._settle()
                if self._under_way:
                    await self._woken.wait()
        await self._settle()

    async def _turn(self, group: asyncio.TaskGroup) -> float:
        """Settle, and send what may go now; how long nothing will change by itself."""
        await self._settle()
        wait_s = self.pace.wait_s(time.monotonic(), len(self._under_way))
        if self._stopping or wait_s > 0:
            return min(wait_s, LOOK_EVERY_S)
        next_due_s: float | None = 0.0
        if not self._ready:
            busy = [*self._under_way, *(s.delivery_id for s in self._settled)]
            found, next_due_s = await self._outbox.due(self.webhook.hook, busy, TAKE_MAX)
            self._ready = found[::-1]
        while self._ready and not self._stopping:
            now_s = time.monotonic()
            wait_s = self.pace.wait_s(now_s, len(self._under_way))
            if wait_s > 0:
                return min(wait_s, LOOK_EVERY_S)
            self.pace.take(now_s)
            delivery = self._ready.pop()
            self._under_way.add(delivery.delivery_id)
            group.create_task(self._send(delivery))
        look_s = PROBING_LOOK_EVERY_S if self.pace.probing else LOOK_EVERY_S
        return look_s if next_due_s is None else min(next_due_s, look_s)

    async def _send(self, delivery: Delivery) -> None:
        begin_s = time.monotonic()
        attempt = await self._attempt(delivery)
        now_s = time.monotonic()
        delay_s = None
        if attempt.trouble is not None:
            left_s = delivery.left_s - (now_s - begin_s)
            delay_s = retry_delay_s(delivery.attempts + 1, left_s, attempt.retry_after_s)
        if delivery.body is not None:
            taken = attempt.trouble is None
            self._is_back |= self.pace.note(now_s, taken=taken, retry_after_s=attempt.retry_after_s)
        self._settled.append(Settlement(delivery.delivery_id, attempt, delay_s))
        self._under_way.discard(delivery.delivery_id)
        self._woken.set()

    async def _attempt(self, delivery: Delivery) -> Attempt:
        if delivery.body is None:
            return Attempt(delivery.trouble)
        now_s = int(time.time())
        try:
            signatures = [
                signature(self._keys.secret(seed), delivery.event_id, now_s, delivery.body)
                for seed in self.webhook.seeds
            ]
        except UnknownKey:
            return Attempt(Trouble.KEY)
        headers = {
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": " ".join(signatures),
        }
        try:
            return await self._client.post(self.webhook.url, headers, delivery.body)
        except Exception as e:
            # A stranger's server has found a fault of ours or the client's: it must not end what
            # is sent to others. The error's text may hold the URL.
            error = type(e).__name__
            self._log.error("hooks.unforeseen", webhook_id=self.webhook.webhook_id, error=error)
            return Attempt(Trouble.GARBLED)

    async def _settle(self) -> None:
        """Write what has come back, all in one statement, and what it says of the webhook."""
        settled, self._settled = self._settled, []
        if not settled:
            return
        await self._outbox.settle(settled)
        hook, attempts = self.webhook.hook, [s.attempt for s in settled]
        if any(attempt.trouble is None for attempt in attempts):
            self._trouble.healed(webhook_id=self.webhook.webhook_id)
            if self._failing:
                self._failing = False
                await self._outbox.note_health(hook, failing=False)
            if self._is_back:
                self._is_back = False
                await self._outbox.hasten(hook)
        failed = [attempt for attempt in attempts if attempt.trouble not in {None, *OURS}]
        if failed:
            await self._note_failures(failed, taken=None in {a.trouble for a in attempts})

    async def _note_failures(self, failed: list[Attempt], *, taken: bool) -> None:
        last = failed[-1]
        self._trouble.failed(
            webhook_id=self.webhook.webhook_id, why=last.trouble, status=last.status
        )
        if any(attempt.trouble is Trouble.GONE for attempt in failed):
            await self._switch_off(GONE)
        elif not taken:
            self._failing = True
            failing_s = await self._outbox.note_health(self.webhook.hook, failing=True)
            if failing_s >= FAILING_MAX_S:
                await self._switch_off(FAILING)

    async def _switch_off(self, reason: str) -> None:
        self._stopping = True
        await self._outbox.switch_off(self.webhook.hook, reason)
        self._log.warning("hooks.switched_off", webhook_id=self.webhook.webhook_id, why=reason)
