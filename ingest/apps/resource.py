"""The apps' paths: read a request, translate it, store its fixes, answer as that app moves on by.

2xx says "take it off the queue": stored, of no interest, or never storable. The last kind is
counted and logged. Whatever may go well later (no room, no Redis, too fast) is 503, on which every
app keeps what it has: OwnTracks on iOS drops a message on any 4xx, 429 too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import falcon
import falcon.asgi

from common.access.policy import Action, Principal, allowed
from common.errors import Overloaded, Refused
from common.event import LocationUpdate
from common.log import Repeated, get
from ingest.apps import background_geolocation, osmand, overland, owntracks
from ingest.apps.translation import Translation
from ingest.apps.upload import Upload, split
from ingest.http.access import Access
from ingest.http.body import read_any
from ingest.intake.intake import Intake

# Says how many fixes of this request can never be stored; apps ignore it, people who set up a
# phone look for it.
REFUSED_HEADER = "fleetline-refused"


@dataclass(frozen=True, slots=True)
class App:
    """How one app is understood and answered."""

    name: str
    path: str
    translate: Callable[[Upload], Translation]
    # The body of a 200; the app reads it, or nobody does.
    answer: bytes
    media_type: str = falcon.MEDIA_JSON
    # It can send no header, so its token or key stands in its address; and it also sends GETs.
    by_address: bool = False


APPS = (
    App("owntracks", "/owntracks", owntracks.translate, b"[]"),
    App("osmand", "/osmand", osmand.translate, b"", falcon.MEDIA_TEXT, by_address=True),
    App("overland", "/overland", overland.translate, b'{"result":"ok"}'),
    App(
        "background-geolocation",
        "/background-geolocation",
        background_geolocation.translate,
        b"{}",
    ),
)


class AppIntake:
    """Stores translated fixes: what a batch is to the API."""

    def __init__(self, intake: Intake, *, bytes_max: int) -> None:
        self._intake = intake
        self.bytes_max = bytes_max

    async def store(self, fixes: list[tuple[str, LocationUpdate]], refused: list[str]) -> None:
        """Put fixes into their streams; notes in `refused` those whose time is out of range.

        Raises `Overloaded`: some may be stored then, and sending all of them again does no harm.
        Too fast for a driver's limit is such a case: an app can only repeat the whole request.
        """
        # No app limits its batches as the API does; the body's size bounds this loop.
        intake = self._intake
        for begin in range(0, len(fixes), intake.fixes_max):
            part = fixes[begin : begin + intake.fixes_max]
            updates = [(n, driver_id, update) for n, (driver_id, update) in enumerate(part)]
            verdicts = await intake.validate(updates, None)
            refused += [rejection.error.detail for rejection in verdicts.rejected]
            try:
                if verdicts.fixes:
                    await intake.add(verdicts.fixes, whole=True)
            except Refused as e:
                raise Overloaded(e.detail, retry_after_s=e.retry_after_s) from e


class AppResource:
    """One app's path."""

    def __init__(self, app: App, intake: AppIntake, access: Access) -> None:
        self._app = app
        self._intake = intake
        self._access = access
        self.refused = 0
        self._refusals = Repeated(get("ingest"), f"app.refused.{app.name}")

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Take what the app delivers."""
        principal = self._principal(req)
        body = await read_any(req, self._intake.bytes_max)
        self._access.recheck(principal, req)
        await self._take(req, resp, principal, body)

    def _principal(self, req: falcon.asgi.Request) -> Principal:
        """Who sends it, known before its body is read. Raises `Refused`."""
        if self._app.by_address and not req.auth:
            token = split(req.query_string).get("token")
            if token:
                return self._access.credential(token)
        return self._access.basic(req)

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
        found = self._app.translate(upload)
        self._require(principal, found)
        await self._intake.store(found.fixes, found.refused)
        resp.content_type = self._app.media_type
        resp.data = self._app.answer
        if found.refused:
            self._count(resp, found.refused)

    def _require(self, principal: Principal, found: Translation) -> None:
        """Raise `Refused` (403) unless `principal` may send every one of the fixes."""
        if self._access.on and not allowed(principal, Action.SEND_FIX):
            named: set[str | None] = {driver_id for driver_id, _ in found.fixes}
            for driver_id in named or {principal.driver_id}:
                self._access.require(principal, Action.SEND_FIX, driver_id=driver_id)

    def _count(self, resp: falcon.asgi.Response, refused: list[str]) -> None:
        self.refused += len(refused)
        self._refusals.failed(fixes=len(refused), reason=refused[0], total=self.refused)
        resp.set_header(REFUSED_HEADER, str(len(refused)))


class QueryResource(AppResource):
    """An app's path that also takes fixes in the query of a GET."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Take the fix in the query."""
        await self._take(req, resp, self._principal(req), b"")


def resources(intake: AppIntake, access: Access) -> list[tuple[str, AppResource]]:
    """Path and resource of every app."""
    return [
        (app.path, (QueryResource if app.by_address else AppResource)(app, intake, access))
        for app in APPS
    ]
