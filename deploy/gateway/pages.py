"""The pages as nginx serves them: location blocks, security headers, and what is filled in.

Files keep their names and are served under a path that names their content, so browsers may keep
them for good and never mix two releases. Only the HTML and the settings are asked for each time.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from common.errors import ConfigError
from common.settings import Settings

WEB = Path(__file__).with_name("web")
# Page -> hosts whose pages may show it in a frame. A shop shows its customers their order on its
# own host; a frame around the map could borrow an operator's clicks.
PAGES = {"track": "'self'", "map": "'none'", "fleet": "'none'", "webhooks": "'none'"}
YEAR_S = 31_536_000

_LOCATIONS = """\
        location ~ ^/+track(/|$) {{
            root web;
            rewrite ^ /track.html break;
            {track}
            charset utf-8;
            add_header Cache-Control "no-cache";
        }}
        location ~ ^/+map/?$ {{
            root web;
            rewrite ^ /map.html break;
            {map}
            charset utf-8;
            add_header Cache-Control "no-cache";
        }}
        location ~ ^/+fleet/?$ {{
            root web;
            rewrite ^ /fleet.html break;
            {fleet}
            charset utf-8;
            add_header Cache-Control "no-cache";
        }}
        location ~ ^/+webhooks/?$ {{
            root web;
            rewrite ^ /webhooks.html break;
            {webhooks}
            charset utf-8;
            add_header Cache-Control "no-cache";
        }}
        # A person who opens the address that `ready` names looks for something to see.
        location = / {{ absolute_redirect off; return 302 /map; }}

        location = /assets/config.json {{
            alias web/config.json;
            {plain}
            charset utf-8;
            add_header Cache-Control "no-cache";
        }}
        location ^~ {assets}/leaflet/ {{
            alias {leaflet};
            {plain}
            {kept}
        }}
        location ^~ {assets}/ {{
            alias {web};
            {plain}
            {kept}
        }}
        location ^~ /assets/ {{ return 404; }}
"""


@dataclass(frozen=True, slots=True)
class Pages:
    """The folders that files come from, and the path they are served under."""

    web: Path
    leaflet: Path
    assets: str


def find_pages(leaflet: Path) -> Pages:
    """The pages of this release; `leaflet` is the folder of the package."""
    digest = hashlib.sha256()
    served = [leaflet / name for name in ("leaflet.js", "leaflet.css")]
    for path in [*sorted(p for p in WEB.rglob("*") if p.is_file()), *served]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return Pages(WEB, leaflet, f"/assets/{digest.hexdigest()[:12]}")


def locations(pages: Pages, settings: Settings) -> str:
    """nginx's location blocks for the pages."""
    gzip = "gzip on; gzip_min_length 512; gzip_vary on; gzip_types text/css text/javascript"
    return _LOCATIONS.format(
        **{page: headers(policy(settings.tile_url, frames)) for page, frames in PAGES.items()},
        plain=headers("default-src 'none'"),
        kept=f'add_header Cache-Control "public, max-age={YEAR_S}, immutable";\n'
        f"            {gzip} image/svg+xml;",
        assets=pages.assets,
        leaflet=quoted(pages.leaflet),
        web=quoted(pages.web),
    ).rstrip()


def policy(tile_url: str, frame_ancestors: str) -> str:
    """Content-Security-Policy of a page: this host alone, and the tile server's pictures."""
    tiles = tile_source(tile_url)
    images = f"'self' data: {tiles}" if tiles else "'self' data:"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            # Leaflet empties tiles it no longer wants with a data: picture.
            f"img-src {images}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {frame_ancestors}",
        )
    )


def tile_source(tile_url: str) -> str:
    """The tile server as a CSP source; empty for none and for this host's own tiles."""
    if not tile_url or tile_url.startswith("/"):
        return ""
    parts = urlsplit(tile_url)
    # Subdomains that Leaflet fills in are a wildcard to CSP.
    return f"{parts.scheme}://{re.sub(r'^[{]s[}][.]', '*.', parts.netloc)}"


def page_html(page: str, pages: Pages) -> str:
    """A page with its paths filled in. Its modules are named up front: one trip, not one each."""
    modules = sorted(p for folder in ("core", page) for p in (pages.web / folder).rglob("*.js"))
    preload = "\n  ".join(
        f'<link rel="modulepreload" href="{pages.assets}/{m.relative_to(pages.web)}">'
        for m in modules
    )
    html = (pages.web / f"{page}.html").read_text()
    return html.replace("@assets@", pages.assets).replace("@preload@", preload)


def config_json(settings: Settings) -> bytes:
    """The settings that pages know."""
    return orjson.dumps(
        {
            "tile_url": settings.tile_url,
            "tile_attribution": settings.tile_attribution,
            "stale_age_s": settings.stale_age_s,
            "location_ttl_s": settings.location_ttl,
        }
    )


def write_pages(folder: Path, pages: Pages, settings: Settings) -> None:
    """Write what depends on settings and release: the HTML and the settings."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        (folder / f"{page}.html").write_text(page_html(page, pages))
    (folder / "config.json").write_bytes(config_json(settings))


def headers(csp: str) -> str:
    """The headers of an answer with this policy, as nginx adds them."""
    return "\n            ".join(
        (
            f'add_header Content-Security-Policy "{csp}" always;',
            'add_header Permissions-Policy "geolocation=(), camera=(), microphone=()" always;',
        )
    )


def quoted(folder: Path) -> str:
    """A folder as nginx reads it."""
    path = str(folder)
    if "$" in path:
        raise ConfigError(f"{path}: nginx cannot serve a folder with a dollar in its name")
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}/"'
