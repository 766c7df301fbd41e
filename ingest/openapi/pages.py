"""`/openapi.json` and `/docs` (Swagger UI), all from this host alone.

Everything is made at the first request and kept: no worker pays for pages that nobody opens. The
document is made anew each day, since its examples are of today.
"""

import asyncio
import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib.resources import files

import falcon
import falcon.asgi
import orjson

from common.settings import Settings
from ingest.openapi.document import build

# Names are those of a release, so browsers ask again after a while.
ASSET_AGE_S = 3600
# Where each asset lies: a package's own files, or Swagger UI's.
OWN, SWAGGER = "ingest.openapi", "swagger_ui_bundle"
ASSETS = {
    "docs.css": (OWN, "text/css; charset=utf-8"),
    "docs.js": (OWN, "text/javascript; charset=utf-8"),
    "swagger-ui.css": (SWAGGER, "text/css; charset=utf-8"),
    "swagger-ui-bundle.js": (SWAGGER, "text/javascript; charset=utf-8"),
}
# This host alone. Swagger UI's pictures are data: URLs in its style sheet.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

Packed = tuple[bytes, bytes]


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


class DocsPage:
    """Bytes as they are and compressed; made once, or once a day where `day` says which it is."""

    def __init__(
        self,
        media_type: str,
        make: Callable[[date], bytes],
        *,
        age_s: int = 0,
        day: Callable[[], date] = lambda: date.min,
    ) -> None:
        self._media_type = media_type
        self._make = make
        self._cache_control = f"public, max-age={age_s}" if age_s else "no-cache"
        self._day = day
        self._made_on: date | None = None
        self._packed: Packed = (b"", b"")

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page, compressed for clients that take it so."""
        day = self._day()
        if self._made_on != day:
            # Swagger UI is 1.5 MB: fixes must not wait for it to be compressed.
            self._packed = await asyncio.to_thread(self._pack, day)
            self._made_on = day
        plain, packed = self._packed
        resp.content_type = self._media_type
        resp.set_header("cache-control", self._cache_control)
        resp.set_header("content-security-policy", POLICY)
        resp.set_header("referrer-policy", "no-referrer")
        resp.set_header("vary", "accept-encoding")
        if "gzip" in (req.get_header("accept-encoding") or ""):
            resp.set_header("content-encoding", "gzip")
            plain = packed
        resp.data = plain

    on_head = on_get

    def _pack(self, day: date) -> Packed:
        plain = self._make(day)
        return plain, gzip.compress(plain, 6, mtime=0)


def pages(
    settings: Settings, *, auth: bool, day: Callable[[], date] = today
) -> list[tuple[str, DocsPage]]:
    """Path and resource of every page; `auth` is whether credentials are asked for."""

    def document(of: date) -> bytes:
        return orjson.dumps(build(settings, of, auth=auth))

    found = [
        ("/openapi.json", DocsPage("application/json", document, day=day)),
        ("/docs", DocsPage("text/html; charset=utf-8", _reader(OWN, "docs.html"))),
    ]
    for name, (package, media_type) in ASSETS.items():
        asset = DocsPage(media_type, _reader(package, name), age_s=ASSET_AGE_S)
        found.append((f"/docs/assets/{name}", asset))
    return found


def _reader(package: str, name: str) -> Callable[[date], bytes]:
    return lambda _: _read(package, name)


def _read(package: str, name: str) -> bytes:
    folder = files(package)
    if package == SWAGGER:
        # The one folder there is named after the version.
        [folder] = folder.joinpath("vendor").iterdir()
    else:
        folder = folder.joinpath("web")
    return folder.joinpath(name).read_bytes()
