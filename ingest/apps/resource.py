"""The apps' paths: read a request, translate it, store its fixes, answer as that app moves on by.

2xx says "take it off the queue": stored, of no interest, or never storable. The last kind is
counted and logged. Whatever may go well later (no room, no Redis, too fast) is 503, on which every
app keeps what it has: OwnTracks on iOS drops a message on any 4xx, 429 too.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import falcon
import falcon.asgi

from common.access.policy import Action, Principal, allowed
from common.errors import InvalidUpdate, Overloaded, Refused
from common.event import TimeLimits
from ingest.apps import owntracks
from ingest.apps.app_counts import AppCounts
from ingest.apps.clock import leave_to_server, time_reason
from ingest.apps.phone_apps import APPS, PhoneApp
from ingest.apps.reason import Reason
from ingest.apps.translation import Translation
from ingest.apps.upload import Upload, split
from ingest.http.access import Access
from ingest.http.body import read_any
from ingest.intake.intake import BYTES_A_FIX, Intake
from ingest.intake.pieces import in_pieces

# How many fixes of this request can never be stored, and how many were stored without the order
# they named. Apps ignore them; people who set up a phone look for them.
REFUSED_HEADER = "fleetline-refused"
WITHOUT_ORDER_HEADER = "fleetline-without-order"
# Items that are translated between two turns of the event loop: about 1 ms.
ITEMS_A_PIECE = 100


@dataclass(frozen=True, slots=True)
class AppRules:
    """What an operator may choose for all apps."""

    bytes_max: int
    limits: TimeLimits
    # APP_TIME=server: a fix whose time cannot be right is dated by its arrival.
    server_time: bool = False


class AppResource:
    """One app's path."""

    def __init__(
        self, app: PhoneApp, intake: Intake, access: Access, rules: AppRules, counts: AppCounts
    ) -> None:
        self._app = app
        self._intake = intake
        self._access = access
        self._rules = rules
        self._counts = counts
        self._bytes_max = min(rules.bytes_max, app.bytes_max or rules.bytes_max)

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, token: str = ""
    ) -> None:
        """Take what the app delivers; `token` is what stands in the path of an address."""
        principal = self._sender(req, token)
        body = await read_any(req, self._bytes_max)
        self._access.recheck(principal, req)
        await self._take(req, resp, principal, body)

    def _sender(self, req: falcon.asgi.Request, token: str) -> Principal:
        """Who sends it, and may send fixes, known before the body is read. Raises `Refused`."""
        if self._app.by_address and not req.auth:
            token = split(req.query_string).get("token") or token
            principal = self._access.credential(token) if token else self._access.basic(req)
        else:
            principal = self._access.basic(req)
        self._access.require_role(principal, Action.SEND_FIX)
        if principal.driver_id is not None:
            with _try_later():
                self._intake.require_pace(principal.driver_id)
        return principal

    async def _take(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        principal: Principal,
        body: bytes,
    ) -> None:
        upload = Upload(
            body=body,
            query=req.query_string,
            content_type=req.content_type or "",
            user=req.get_header("x-limit-u") or owntracks.basic_user(req.auth),
            token_driver_id=principal.driver_id,
        )
        found, sender = Translation(), principal.driver_id
        try:
            await in_pieces(self._translate(upload, found))
            self._require(principal, found)
        except (InvalidUpdate, Refused):
            self._intake.charge(sender, 1 + len(body) // BYTES_A_FIX)
            raise
        # Stored fixes are charged as they are added. The rest of a body costs what its bytes do.
        unpaid = max(found.unstored, len(body) // BYTES_A_FIX - len(found.fixes))
        await self._store(found, sender)
        self._intake.charge(sender, unpaid)
        resp.content_type = self._app.media_type
        resp.data = self._app.answer
        self._tell(resp, found, sender)

    def _translate(self, upload: Upload, found: Translation) -> Iterator[None]:
        server_time = self._rules.server_time
        for count, item in enumerate(self._app.read(upload), 1):
            found.add(item, server_time=server_time)
            if count % ITEMS_A_PIECE == 0:
                yield
        found.require_known_shape(self._app.expected)

    def _require(self, principal: Principal, found: Translation) -> None:
        """Raise `Refused` (403) unless `principal` may send for every driver that is named.

        One that it may not refuses the whole request, even beside a fix that is none.
        """
        if not allowed(principal, Action.SEND_FIX):
            for driver_id in found.drivers:
                self._access.require(principal, Action.SEND_FIX, driver_id=driver_id)

    async def _store(self, found: Translation, sender: str | None) -> None:
        """Put fixes into their streams; counts in `found` those whose time is out of range.

        Raises `Overloaded`: some may be stored then, and sending all of them again does no harm.
        """
        now, limits = datetime.now(UTC), self._rules.limits
        if self._rules.server_time:
            moved = sum(leave_to_server(update, now, limits) for _, update in found.fixes)
            found.counts += Counter({Reason.SERVER_TIME: moved})
        indexed = [(index, *fix) for index, fix in enumerate(found.fixes)]
        verdicts = await self._intake.validate(indexed, sender)
        for rejection in verdicts.rejected:
            stamp = found.fixes[rejection.index][1].recorded_at
            found.counts[time_reason(stamp, now, limits)] += 1
        size = self._intake.fixes_max
        with _try_later():
            for begin in range(0, len(verdicts.fixes), size):
                await self._intake.add(verdicts.fixes[begin : begin + size], whole=True)

    def _tell(self, resp: falcon.asgi.Response, found: Translation, sender: str | None) -> None:
        """Count what was not stored as it was sent, and say it in headers."""
        if not found.counts:
            return
        self._counts.add(self._app.name, found.counts, sender or min(found.drivers, default=None))
        if found.refused:
            resp.set_header(REFUSED_HEADER, str(found.refused))
        if without := found.counts[Reason.WITHOUT_ORDER]:
            resp.set_header(WITHOUT_ORDER_HEADER, str(without))


class QueryResource(AppResource):
    """An app's path that also takes fixes in the query of a GET."""

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, token: str = ""
    ) -> None:
        """Take the fix in the query."""
        await self._take(req, resp, self._sender(req, token), b"")


@contextmanager
def _try_later() -> Iterator[None]:
    """Make too fast for a driver's limit (`Refused`) an `Overloaded`: apps keep what they have."""
    try:
        yield
    except Refused as e:
        raise Overloaded(e.detail, retry_after_s=e.retry_after_s) from e


def resources(
    intake: Intake, access: Access, rules: AppRules, counts: AppCounts
) -> list[tuple[str, AppResource]]:
    """Path and resource of every app."""
    found: list[tuple[str, AppResource]] = []
    for app in APPS:
        kind = QueryResource if app.by_address else AppResource
        resource = kind(app, intake, access, rules, counts)
        found.append((app.path, resource))
        if app.by_address:
            # Old Traccar Clients put a query of their own there: the token is in the path.
            found.append((f"{app.path}/{{token}}", resource))
    return found
