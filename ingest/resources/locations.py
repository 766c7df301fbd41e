"""`/api/v1/drivers/locations`: take many fixes in one body."""

import falcon
import falcon.asgi
import orjson

from common.access.policy import Action, Principal
from common.errors import Refused
from common.problem import INVALID_VALUE
from ingest.http.access import Access
from ingest.http.body import read_json
from ingest.http.problem import answer
from ingest.intake.batch import errors_listed
from ingest.intake.intake import Intake
from ingest.intake.validate import Verdicts
from ingest.intake.writer.stream_writer import Receipt


class Locations:
    """Many drivers' fixes. `bytes_max` bounds their body."""

    def __init__(self, intake: Intake, access: Access, *, bytes_max: int) -> None:
        self._access = access
        self._intake = intake
        self._bytes_max = bytes_max

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """202 once the streams have every good fix; 422 when there is none."""
        access, intake = self._access, self._intake
        # What can be refused for who sends it is refused before its body is read.
        principal = access.principal(req)
        access.require_role(principal, Action.SEND_FIX)
        sender = principal.driver_id
        if sender is not None:
            intake.require_pace(sender)
        body = await read_json(req, self._bytes_max)
        access.recheck(principal, req)
        verdicts = await intake.validate_batch(body, sender)
        self._require_own(principal, verdicts)
        if not verdicts.fixes:
            detail = f"none of the {len(verdicts.rejected)} fixes can be accepted"
            answer(resp, INVALID_VALUE, detail, errors_listed(verdicts))
            return
        receipt = await intake.add(verdicts.fixes)
        if receipt.limited:
            resp.set_header("retry-after", str(receipt.retry_after_s))
        resp.status = falcon.HTTP_202
        resp.data = _answer(verdicts, receipt)

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
