"""`fleetline up` on two databases, of which one is away."""

from common.settings import load_settings
from deploy.database_states import read_databases
from tests.roles.several import FIRST, SECOND, two_databases
from tests.servers.postgres import PostgresServer, postgres
from tests.stack import Stack, new_home
from tests.system.conftest import QUICK
from tests.wait import wait_until

# Nobody asks for the others, and they take their time to start.
ROLES = ("--roles", "insight,consumers,ingest")


def test_it_starts_without_one_of_two_and_stores_all_once_it_is_back(
    postgres_session: PostgresServer,
) -> None:
    with postgres() as own, two_databases(postgres_session, own) as urls, new_home() as home:
        own.stop()
        with Stack(home, *ROLES, extra={**QUICK, "DATABASE_URLS": ",".join(urls)}) as stack:
            assert "run fleetline migrate when it is back" in stack.said()
            follow(stack, own)
        # For the end, which removes what is in it.
        assert own.answers()


def follow(stack: Stack, own: PostgresServer) -> None:
    def stored(driver: str) -> int:
        status, body = stack.request("GET", f"/api/v1/drivers/{driver}/route")
        return int(body["count"]) if status == 200 else -status

    def states() -> list[object]:
        # As a tool finds them that is told of the home alone.
        return [
            found["state"] for found in read_databases(load_settings(fleetline_home=stack.home))
        ]

    for driver in (FIRST, SECOND):
        fix = {"latitude": 1.0, "longitude": 2.0}
        assert stack.request("POST", f"/api/v1/drivers/{driver}/location", fix)[0] == 202
    wait_until(lambda: stored(FIRST) == 1, timeout_s=20, what="the others' fixes")
    assert stored(SECOND) == -503
    assert states() == ["up", "down"]
    health = stack.request("GET", "/health")[1]
    assert health["status"] == "degraded"
    assert health["missing_databases"] == [2]
    assert (health["database"], health["dead_letters"]) == ("down", 0)
    own.start()
    wait_until(lambda: stored(SECOND) == 1, timeout_s=20, what="what waited")
    assert states() == ["up", "up"]
    wait_until(lambda: stack.request("GET", "/health")[1]["status"] == "ok", timeout_s=20)
