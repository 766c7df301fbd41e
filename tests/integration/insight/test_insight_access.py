"""Who may read trips and statistics: operators all, a driver its own, nobody else."""

from collections.abc import Iterator

import httpx
import pytest

from tests.access import AUTH, bearer, token
from tests.servers.ingest_server import ingest
from tests.servers.redis_cluster import AnyRedis

OWN = ("drivers/d1/trips", "drivers/d1/stops", "drivers/d1/summary")
FLEET = ("fleet/summary", "fleet/heat")


@pytest.fixture(scope="module")
def api(redis_session: AnyRedis) -> Iterator[httpx.Client]:
    redis_session.clear()
    with (
        ingest(REDIS_URL=redis_session.url, **AUTH) as server,
        httpx.Client(base_url=f"{server.url}/api/v1/", timeout=10) as client,
    ):
        yield client


def status(api: httpx.Client, path: str, headers: dict[str, str]) -> int:
    return api.get(path, headers=headers).status_code


# There is no database: whoever may ask is told 503, and never before it is known who asks.
@pytest.mark.parametrize("path", [*OWN, *FLEET])
def test_operators_read_all_and_strangers_nothing(api: httpx.Client, path: str) -> None:
    assert status(api, path, bearer(token("operator", "desk"))) == 503
    assert status(api, path, {}) == 401
    assert status(api, path, bearer(token("tracker", "d1", order_id="o1"))) == 403
    assert status(api, path, bearer(token("gateway", "shop"))) == 403


@pytest.mark.parametrize("path", [*OWN, *FLEET])
def test_a_driver_reads_its_own(api: httpx.Client, path: str) -> None:
    own = 503 if path in OWN else 403
    assert status(api, path, bearer(token("driver", "d1"))) == own
    assert status(api, path, bearer(token("driver", "d2"))) == 403
