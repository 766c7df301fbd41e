"""The streets under the drivers as nginx serves them: small files, made by `fleetline streets`.

The index is asked for each time. A tile's path names the build it is of, so what it holds never
changes, and browsers keep it. Where the map shows nothing there is no file, and the answer is
empty; of a build that is gone it is 404, upon which a page asks for the index again.
"""

from pathlib import Path

from deploy.gateway.pages import YEAR_S, headers, quoted
from deploy.stack.streets import BUILD_PATTERN, FOLDER, INDEX

_LOCATIONS = """\
        location = /{name}/{index} {{
            root {root};
            {plain}
            add_header Cache-Control "no-cache";
            try_files $uri =204;
        }}
        location ~ "^(?<build>/{name}/{build})/[0-9]+/[0-9]+/[0-9]+$" {{
            root {root};
            disable_symlinks on from=$document_root;
            if (!-d $document_root$build) {{
                return 404;
            }}
            types {{}}
            default_type application/vnd.mapbox-vector-tile;
            {plain}
            add_header Content-Encoding gzip;
            add_header Cache-Control "public, max-age={year_s}, immutable";
            try_files $uri /{name}/empty;
        }}
        location = /{name}/empty {{
            internal;
            {plain}
            add_header Cache-Control "public, max-age={year_s}, immutable";
            return 204;
        }}
        location /{name}/ {{ return 404; }}
"""


def street_locations(parent: Path) -> str:
    """nginx's location blocks; `parent` is the folder in which the streets' folder lies."""
    return _LOCATIONS.format(
        name=FOLDER,
        index=INDEX,
        build=BUILD_PATTERN,
        root=quoted(parent),
        plain=headers("default-src 'none'"),
        year_s=YEAR_S,
    ).rstrip()
