"""Each app's odd requests at a real ingest: the answer, the stream, the phone, the counts."""

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.clients.phones import any_2xx, result_ok
from tests.entries import take_events
from tests.odd import DELETED, KEPT, Odd
from tests.odd.tables import TABLES
from tests.servers import RedisServer, valkey
from tests.servers.ingest_server import ingest
from tests.wait import wait_until

# What a phone is told beside its app's own words.
NOT_STORED = {"no_interest", "without_order", "server_time"}


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisServer]:
    with valkey() as server:
        yield server


@pytest.fixture(scope="module")
def api(broker: RedisServer) -> Iterator[httpx.Client]:
    with (
        ingest(REDIS_URL=broker.url, SHARDS="1", RATE_FIXES_PER_S="0") as server,
        httpx.Client(base_url=server.url, timeout=10) as client,
    ):
        wait_until(lambda: client.get("/health").status_code == 200, what="ingest to accept")
        yield client


def send(api: httpx.Client, app: str, row: Odd) -> httpx.Response:
    headers = {"content-type": row.content_type} if row.content_type else {}
    url = f"/{app}?{row.query}" if row.query else f"/{app}"
    return api.post(url, content=row.content, headers={**headers, **row.headers})


@pytest.mark.parametrize("app", TABLES)
def test_odd_requests(api: httpx.Client, broker: RedisServer, app: str) -> None:
    rows, takes_off = TABLES[app], result_ok if app == "overland" else any_2xx
    wrong: dict[str, object] = {}
    for row in rows:
        answer = send(api, app, row)
        refused = sum(n for reason, n in row.counts.items() if reason not in NOT_STORED)
        found = (
            answer.status_code,
            DELETED if takes_off(answer) else KEPT,
            int(answer.headers.get("fleetline-refused", 0)),
            int(answer.headers.get("fleetline-without-order", 0)),
        )
        status = row.status if row.phone == KEPT else 200
        told = (status, row.phone, refused, row.counts.get("without_order", 0))
        stored = take_events(broker)
        pairs = zip(stored, row.stored, strict=False)
        good = len(stored) == len(row.stored) and all(
            {field: event.get(field) for field in want} == pytest.approx(want)
            for event, want in pairs
        )
        if found != told or not good:
            wrong[row.name] = (found, told, stored)
    assert wrong == {}
    expected = sum((Counter(row.counts) for row in rows), Counter())
    wait_until(lambda: counts(api, app) == expected, what=f"the counts of {app}")


def counts(api: httpx.Client, app: str) -> Counter[str]:
    return Counter(api.get("/health").json()["apps"].get(app, {}))
