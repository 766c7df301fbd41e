"""What the fan-out says of itself on its own port: that it runs, and whether it delivers."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from fanout.door.request import LIVE_PATH
from fanout.sockets.answers import PlainAnswer, json_answer


class HealthPage:
    """Answers the health paths. `gauges` is None where strangers reach the port (AUTH=on)."""

    def __init__(
        self,
        delivering: Callable[[], bool],
        gauges: Callable[[], Mapping[str, int]] | None,
    ) -> None:
        self._delivering = delivering
        self._gauges = gauges

    def answer(self, path: str) -> PlainAnswer:
        """The answer to a GET of `path`."""
        if path == LIVE_PATH:
            return json_answer(HTTPStatus.OK, {"status": "ok"})
        shown = {} if self._gauges is None else self._gauges()
        if self._delivering():
            return json_answer(HTTPStatus.OK, {"status": "delivering", **shown})
        return json_answer(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not delivering", **shown})
