"""`/api/v1/drivers/locations`: take many fixes in one body."""

from collections.abc import Awaitable

import falcon
import falcon.asgi
import orjson

from common.access.policy import ALLOWED, Action, Principal
from common.errors import Refused
from common.problem import INVALID_VALUE, MEDIA_TYPE, encode_problem
from ingest.http.access import ANYBODY, Access
from ingest.http.body import JSON
from ingest.http.fast_path import FastAnswer
from ingest.intake.batch import errors_listed
from ingest.intake.intake import Intake
from ingest.intake.validate import Verdicts
from ingest.intake.writer.stream_writer import Receipt


class Locations:
    """Many drivers' fixes, and a `FastRoute` for bodies of backends. `bytes_max` bounds a body."""

    template = "/api/v1/drivers/locations"

    def __init__(self, intake: Intake, access: Access, *, bytes_max: int) -> None:
        self._access = access
        self._intake = intake
        self.bytes_max = bytes_max

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """202 once the streams have every good fix; 422 when there is none."""
        access = self._access
        # What can be refused for who sends it is refused before its body is read.
        principal = access.principal(req)
        access.require_role(principal, Action.SEND_FIX)
        if principal.driver_id is not None:
            self._intake.require_pace(principal.driver_id)
        data = await access.body(principal, req, self.bytes_max)
        status, resp.data, headers = await self._take(principal, data)
        resp.status = status
        resp.content_type = JSON if status == 202 else MEDIA_TYPE
        resp.set_headers(headers)

    def subject(self, path: str) -> str | None:
        """Nobody in particular."""
        return "" if path == self.template else None

    def may(self, principal: Principal, subject: str) -> bool:
        """Whether it is a backend's. That a driver's body is its own is seen on Falcon's way."""
        return principal.driver_id is None and principal.role in ALLOWED[Action.SEND_FIX]

    def take(self, subject: str, data: bytes) -> Awaitable[FastAnswer]:
        """Put every good fix of a backend's body into its stream."""
        return self._take(ANYBODY, data)

    async def _take(self, principal: Principal, data: bytes) -> FastAnswer:
        verdicts = await self._intake.validate_batch(data, principal.driver_id)
        self._require_own(principal, verdicts)
        if not verdicts.fixes:
            detail = f"none of the {len(verdicts.rejected)} fixes can be accepted"
            problem = encode_problem(INVALID_VALUE, detail, errors_listed(verdicts))
            return INVALID_VALUE.status, problem, ()
        receipt = await self._intake.add(verdicts.fixes)
        wait = (("retry-after", str(receipt.retry_after_s)),) if receipt.limited else ()
        return 202, _answer(verdicts, receipt), wait

    def _require_own(self, principal: Principal, verdicts: Verdicts) -> None:
        """Raise `Refused` (403) when one fix, a broken one too, is of another's driver.

        That refuses the whole body: nothing has been written yet.
        """
        if principal.driver_id is None:
            return
        try:
            for driver_id in verdicts.drivers():
                self._access.require(principal, Action.SEND_FIX, driver_id=driver_id)
        except Refused:
            self._intake.charge(principal.driver_id, len(verdicts.fixes))
            raise


def _answer(verdicts: Verdicts, receipt: Receipt) -> bytes:
    limited = _limited_listed(verdicts, receipt)
    # Every fix that came too early is named, since its sender has to send it again.
    errors = errors_listed(verdicts) + limited
    errors.sort(key=lambda error: error["index"])  # type: ignore[arg-type,return-value]
    return orjson.dumps(
        {
            "accepted": len(verdicts.fixes) - len(receipt.limited),
            "rejected": len(verdicts.rejected) + len(receipt.limited),
            "errors": errors,
        }
    )


def _limited_listed(verdicts: Verdicts, receipt: Receipt) -> list[dict[str, object]]:
    if not receipt.limited:
        return []
    indexes = verdicts.indexes()
    detail = f"too fast for this driver; try again in {receipt.retry_after_s} s"
    return [
        {"index": indexes[place], "field": "rate", "detail": detail} for place in receipt.limited
    ]
