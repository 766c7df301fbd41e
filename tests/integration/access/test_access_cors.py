"""Pages of other origins: only those that are listed may call the API."""

import httpx
import pytest

from tests.access import AUTH, bearer, token
from tests.servers.ingest_server import ingest
from tests.servers.redis_cluster import AnyRedis

FRIEND, STRANGER = "https://app.example.org", "https://evil.example.org"
PATH = "/api/v1/drivers/d1/location"


def preflight(api: httpx.Client, origin: str) -> httpx.Response:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return api.options(PATH, headers=asked)


@pytest.mark.parametrize("origins", ["", f"{FRIEND}, https://b.example"])
def test_only_listed_origins(redis_server: AnyRedis, origins: str) -> None:
    with (
        ingest(REDIS_URL=redis_server.url, CORS_ORIGINS=origins, **AUTH) as server,
        httpx.Client(base_url=server.url) as api,
    ):
        listed = {FRIEND} if origins else set()
        for origin in (FRIEND, STRANGER):
            expected = origin if origin in listed else None
            answer = preflight(api, origin)
            assert answer.headers.get("access-control-allow-origin") == expected
            if expected:
                assert "authorization" in answer.headers["access-control-allow-headers"].lower()
                assert "POST" in answer.headers["access-control-allow-methods"]
            headers = {"Origin": origin, **bearer(token())}
            answer = api.get(PATH, headers=headers)
            assert answer.headers.get("access-control-allow-origin") == expected
            # What broke: a page could not read the link to the next page, nor when to try again.
            exposed = answer.headers.get("access-control-expose-headers", "")
            assert ("Link" in exposed and "Retry-After" in exposed) == (expected is not None)
            assert "access-control-allow-credentials" not in answer.headers
