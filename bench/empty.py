"""The ceiling of ingest: a Falcon handler that does nothing, on Granian set up the same way."""

import gc
import os

import falcon
import falcon.asgi
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.log import LogLevels

from common.processes.process import die_with_parent
from common.settings import load_settings

# Set to anything: the handler reads the body.
READS_ENV = "EMPTY_READS"


class Empty:
    """Answers 202; with `reads` once it has the body, as every handler of a POST must."""

    def __init__(self, *, reads: bool) -> None:
        self._reads = reads

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """Nothing but the answer."""
        if self._reads:
            await req.stream.read()
        resp.status = falcon.HTTP_202
        resp.data = b'{"status":"accepted"}'

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, driver_id: str
    ) -> None:
        """For whoever asks whether it is up."""
        resp.data = b"{}"


def _load(_target: str = "") -> "falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response]":
    # As ingest does: a request leaves no cycles.
    die_with_parent()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    app: falcon.asgi.App[falcon.asgi.Request, falcon.asgi.Response] = falcon.asgi.App()
    app.add_route(
        "/api/v1/drivers/{driver_id}/location", Empty(reads=bool(os.environ.get(READS_ENV)))
    )
    return app


def main() -> None:
    """Serve on INGEST_PORT until a signal."""
    die_with_parent()
    server = Granian(
        target="bench.empty",
        port=load_settings().ingest_port,
        interface=Interfaces.ASGI,
        workers=1,
        runtime_mode=RuntimeModes.mt,
        runtime_threads=1,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
        log_access=False,
    )
    server.serve(target_loader=_load, wrap_loader=False)


if __name__ == "__main__":
    main()
