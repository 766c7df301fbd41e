"""docs/webhooks.md: its receiver works, its tables are complete, its commands do as they say."""

import asyncio
import json
import re
import subprocess
import sys

import asyncpg
import httpx
import pytest
from typer.testing import CliRunner

from common.errors import ConfigError, FleetlineError
from common.events.happening import HappeningType
from common.webhooks.limits import URL_CHARS_MAX, WEBHOOKS_MAX
from common.webhooks.request import decode_webhook
from common.webhooks.trouble import Trouble
from consumers.hooks import chores, http, pace
from deploy.tools.webhooks import commands
from tests.integration.hooks.hook_sending import add_webhook, happen, happenings, run, settled
from tests.servers import free_port
from tests.servers.receiver import Receiver, status
from tests.stack import environment
from tests.test_tidy import ROOT
from tests.wait import until

PAGE = (ROOT / "docs/webhooks.md").read_text()


def test_the_receiver_takes_what_is_signed_and_nothing_else(database_url, tmp_path):
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "receiver.py").write_text(source)
    url = f"http://127.0.0.1:{free_port()}"

    async def scenario(connection):
        hook, secret = await add_webhook(connection, "shop", f"{url}/hook")
        extra = {"WEBHOOK_SECRET": secret, "PORT": url.rpartition(":")[2]}
        process = subprocess.Popen(
            (sys.executable, tmp_path / "receiver.py"),
            env=environment(extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            async with httpx.AsyncClient() as client:

                async def listens():
                    try:
                        return (await client.post(url, content=b"{}")).status_code
                    except httpx.TransportError:
                        return None

                await until(listens, what="the receiver")
                assert await listens() == 401
            await happen(connection, happenings("van-7", 2))
            await settled(connection, hook)
        finally:
            process.terminate()
            said, _ = process.communicate(timeout=10)
        assert said.splitlines() == [f"geofence.enter van-7 {{'n': {n}}}" for n in range(2)]

    run(database_url, scenario)


def test_what_the_page_puts_is_taken():
    (body,) = re.findall(r"-d '({.*?})'", PAGE, re.DOTALL)
    assert decode_webhook(body.encode(), private=False).events


def test_the_tables_are_complete():
    for kind in HappeningType:
        assert f"`{kind}`" in PAGE
    for trouble in Trouble:
        assert f"`{trouble}`" in PAGE
    for number in (
        URL_CHARS_MAX, WEBHOOKS_MAX, pace.CONCURRENCY, round(pace.RATE_PER_S), chores.WAITING_MAX,
        chores.DELIVERED_MAX, chores.DEAD_MAX, round(http.TIMEOUT_S),
    ):  # fmt: skip
        assert f"{number:,}" in PAGE


@pytest.fixture
def told(database_url):
    """A command of `fleetline webhooks`, asked of the database."""

    def tell(*arguments):
        env = {"DATABASE_URL": database_url}
        done = CliRunner().invoke(commands.app, list(arguments), env=env)
        error = done.exception
        assert error is None or isinstance(error, FleetlineError)
        return done.stdout, error

    return tell


def test_the_command_shows_what_was_delivered_and_why_not_and_sends_it_again(database_url, told):
    assert told("list") == ("no webhooks\n", None)

    async def scenario(connection):
        async with Receiver() as good, Receiver(status(500)) as bad:
            hook, _ = await add_webhook(connection, "good", good.url)
            failing, _ = await add_webhook(connection, "bad", bad.url)
            ids = await happen(connection, happenings("van-7", 2))
            await settled(connection, hook)
            await until(lambda: tried(connection, failing))
            return ids

    async def tried(connection, hook):
        sql = "SELECT max(attempts) > 0 FROM webhook_deliveries WHERE hook = $1"
        return await connection.fetchval(sql, hook)

    first, second = run(database_url, scenario)
    text, _ = told("list")
    assert re.search(r"bad +on +2 +0 +0 +20", text), text
    assert re.search(r"good +on +0 +2 +0 +http", text), text
    rows = json.loads(told("deliveries", "bad", "--json")[0])
    assert [(r["event_id"], r["state"]) for r in rows] == [(second, "waiting"), (first, "waiting")]
    assert (rows[1]["status"], rows[1]["error"]) == (500, "status")
    assert str(told("deliveries", "none")[1]) == "there is no webhook none"
    assert told("dead") == ("no dead deliveries\n", None)
    sql = "UPDATE webhook_deliveries SET state = 'dead' WHERE state = 'waiting'"
    asyncio.run(execute(database_url, sql))
    assert len(json.loads(told("dead", "bad", "--json")[0])) == 2
    assert "500" in told("dead")[0]
    assert isinstance(told("replay", "bad")[1], ConfigError)
    assert told("replay", "bad", "--since", "2d", "--dry-run")[0] == "would be replayed 2\n"
    assert told("replay", "--all")[0] == "replayed 2\n"
    rows = json.loads(told("deliveries", "bad", "--state", "waiting", "--json")[0])
    assert [row["attempts"] for row in rows] == [0, 0]


async def execute(url, sql):
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()
