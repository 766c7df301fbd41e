"""What is asked of every request before its resource, on Falcon's way and on the fast one.

A body comes as it is: with a Content-Encoding it would be read as something else. With AUTH=off a
request must come from this machine and from no other site (`common.access.local_rule`), and what
changes something on the API's own paths must say that it is JSON: a page of another site cannot
say so without asking first, which it is refused.
"""

import falcon
import falcon.asgi

from common.access.local_rule import LocalRule
from common.problem import CROSS_SITE, HOST_NOT_ALLOWED
from ingest.http.body import GEOJSON, JSON, has_body, require_json
from ingest.http.problem import HTTPProblem

# The API's own paths; the phone apps' are outside, and each has media types of its own.
API_PREFIX = "/api/"
# Pages for people, which hold no data: a link on another site may lead to them.
PAGES = ("/docs", "/openapi")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_JSON = JSON.encode()
# Header Host of requests that passed, so that the fast path need not judge it again.
HOSTS_REMEMBERED_MAX = 64

_DETAILS = {
    CROSS_SITE: "with AUTH=off a page of another site may not ask this; CORS_ORIGINS lists others",
    HOST_NOT_ALLOWED: "with AUTH=off only names of this machine answer; ALLOWED_HOSTS lists others",
}


class Edge:
    """A Falcon middleware. `rule` is None with AUTH=on: then a token decides."""

    def __init__(self, rule: LocalRule | None) -> None:
        self._rule = rule
        self._hosts: set[bytes] = set()

    async def process_request(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Raise what is wrong with the request."""
        encoding = req.get_header("content-encoding")
        if encoding is not None and encoding.strip().lower() not in ("", "identity"):
            raise falcon.HTTPUnsupportedMediaType(
                description="a body with a Content-Encoding is not read; send it as it is"
            )
        if self._rule is not None:
            self._require_local(self._rule, req)

    def passes(self, headers: dict[bytes, bytes]) -> bool:
        """Whether nothing need be asked of a POST one with these headers; the fast path's."""
        if b"content-encoding" in headers:
            return False
        return self._rule is None or (
            headers.get(b"host", b"") in self._hosts
            and headers.get(b"content-type") == _JSON
            and b"sec-fetch-site" not in headers
        )

    def _require_local(self, rule: LocalRule, req: falcon.asgi.Request) -> None:
        host = req.get_header("host") or ""
        is_page = req.path.startswith(PAGES)
        problem = rule.problem(
            host,
            None if is_page else req.get_header("origin"),
            None if is_page else req.get_header("sec-fetch-site"),
        )
        if problem is not None:
            raise HTTPProblem(problem, _DETAILS[problem])
        if len(self._hosts) < HOSTS_REMEMBERED_MAX:
            self._hosts.add(host.encode("latin-1"))
        changes = req.method not in _SAFE_METHODS and req.path.startswith(API_PREFIX)
        if changes and has_body(req):
            # No page can say GeoJSON without asking either; few resources take it.
            require_json(req.content_type, GEOJSON)


# What a page of a listed origin may read of an answer, besides its body.
EXPOSED_HEADERS = ("Link", "Retry-After", "X-Request-Id")


class Cors(falcon.CORSMiddleware[falcon.asgi.Request, falcon.asgi.Response]):
    """Answers for pages of listed origins, and says that answers differ by origin."""

    def process_response(
        self,
        req: falcon.asgi.Request,  # type: ignore[override]
        resp: falcon.asgi.Response,  # type: ignore[override]
        resource: object,
        req_succeeded: bool,
    ) -> None:
        """Add the headers. A cache that keeps an answer must not give it to another origin."""
        super().process_response(req, resp, resource, req_succeeded)
        resp.append_header("vary", "origin")
