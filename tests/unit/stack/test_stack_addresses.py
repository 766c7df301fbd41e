"""Which servers a tool speaks to: those that are given, else those of the stack of its home.

What broke: `fleetline migrate`, which `up` asks for after a database was away, did not know the
embedded Redis of that stack.
"""

import asyncio
from pathlib import Path

import pytest

from common.errors import FleetlineError
from common.settings import Settings, load_settings
from deploy.stack.home import Home
from deploy.tools.stack_database import at_its_servers, stack_database
from deploy.tools.stack_redis import stack_redis
from tests.servers import free_port

ONE, TWO, OTHER = (f"postgresql://u:secret@db{n}/fleetline" for n in "123")
EMBEDDED = "redis://:secret@127.0.0.1:28412/0"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("REDIS_URL", "DATABASE_URL", "DATABASE_URLS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def addresses(settings: Settings) -> tuple[str, tuple[str, ...]]:
    found = at_its_servers(settings)
    return found.redis_url, found.databases


def test_those_of_the_home_where_none_are_given(home: Path) -> None:
    Home(home).note({"redis_url": EMBEDDED, "database_url": ONE})
    assert addresses(load_settings(fleetline_home=home)) == (EMBEDDED, (ONE,))
    Home(home).note({"redis_url": EMBEDDED, "database_url": ONE, "database_urls": f"{ONE},{TWO}"})
    assert addresses(load_settings(fleetline_home=home)) == (EMBEDDED, (ONE, TWO))


def test_given_ones_win_each_for_itself(home: Path) -> None:
    Home(home).note({"redis_url": EMBEDDED, "database_url": ONE})
    given = load_settings(fleetline_home=home, database_urls=f"{OTHER},{TWO}")
    assert addresses(given) == (EMBEDDED, (OTHER, TWO))
    given = load_settings(fleetline_home=home, redis_url="redis://other/0")
    assert addresses(given) == ("redis://other/0", (ONE,))


def test_the_defaults_where_nothing_ran(home: Path) -> None:
    settings = load_settings(fleetline_home=home)
    assert addresses(settings) == (settings.redis_url, (settings.database_url,))


def test_a_stack_that_is_not_started_is_said(home: Path) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    Home(home).note({"redis_url": nowhere})
    with pytest.raises(FleetlineError, match=r"nothing runs in .*home \(fleetline up"):
        ping(load_settings(fleetline_home=home))
    with pytest.raises(FleetlineError, match="does not answer") as found:
        ping(load_settings(fleetline_home=home, redis_url=nowhere))
    assert "nothing runs" not in str(found.value)


def test_so_it_is_of_the_database(home: Path) -> None:
    Home(home).note({"database_url": f"postgresql://u@127.0.0.1:{free_port()}/fleetline"})
    with pytest.raises(FleetlineError, match=r"database does not answer.*; nothing runs in"):
        asyncio.run(connect(load_settings(fleetline_home=home)))


async def connect(settings: Settings) -> None:
    async with stack_database(settings):
        pass


def ping(settings: Settings) -> None:
    with stack_redis(settings) as client:
        client.ping()
