"""`/openapi.json`, `/docs` (Swagger UI) and `/redoc` (to read), all from this host alone.

Everything is made at the first request and kept: no worker pays for pages that nobody opens.
"""

import asyncio
import gzip
from collections.abc import Callable
from functools import cache
from importlib.resources import files

import falcon
import falcon.asgi
import orjson

from common.settings import Settings
from ingest.openapi.document import build
from ingest.openapi.reading import render

# Names are those of a release, so browsers ask again after a while.
ASSET_AGE_S = 3600
# Where each asset lies: a package's own files, or Swagger UI's.
OWN, SWAGGER = "ingest.openapi", "swagger_ui_bundle"
ASSETS = {
    "docs.css": (OWN, "text/css; charset=utf-8"),
    "docs.js": (OWN, "text/javascript; charset=utf-8"),
    "reading.css": (OWN, "text/css; charset=utf-8"),
    "swagger-ui.css": (SWAGGER, "text/css; charset=utf-8"),
    "swagger-ui-bundle.js": (SWAGGER, "text/javascript; charset=utf-8"),
}
# This host alone. Swagger UI's pictures are data: URLs in its style sheet.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

Packed = tuple[bytes, bytes]


class Page:
    """Bytes that are made once, as they are and compressed."""

    def __init__(self, media_type: str, make: Callable[[], bytes], *, age_s: int = 0) -> None:
        self._media_type = media_type
        self._make = make
        self._cache_control = f"public, max-age={age_s}" if age_s else "no-cache"
        self._packed: Packed | None = None

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page, compressed for whoever takes it so."""
        if self._packed is None:
            # Swagger UI is 1.5 MB: fixes must not wait for it to be compressed.
            self._packed = await asyncio.to_thread(self._pack)
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

    def _pack(self) -> Packed:
        plain = self._make()
        return plain, gzip.compress(plain, 6, mtime=0)


def pages(settings: Settings, *, auth: bool) -> list[tuple[str, Page]]:
    """Path and resource of every page; `auth` is whether credentials are asked for."""
    document = cache(lambda: build(settings, auth=auth))
    html = "text/html; charset=utf-8"
    found = [
        ("/openapi.json", Page("application/json", lambda: orjson.dumps(document()))),
        ("/docs", Page(html, lambda: _read(OWN, "docs.html"))),
        ("/redoc", Page(html, lambda: render(document()))),
    ]
    for name, (package, media_type) in ASSETS.items():
        asset = Page(media_type, _reader(package, name), age_s=ASSET_AGE_S)
        found.append((f"/docs/assets/{name}", asset))
    return found


def _reader(package: str, name: str) -> Callable[[], bytes]:
    return lambda: _read(package, name)


def _read(package: str, name: str) -> bytes:
    folder = files(package)
    if package == SWAGGER:
        # The one folder there is named after the version.
        [folder] = folder.joinpath("vendor").iterdir()
    else:
        folder = folder.joinpath("web")
    return folder.joinpath(name).read_bytes()
