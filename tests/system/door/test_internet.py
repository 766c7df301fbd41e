"""`docs/internet.md`, followed to the letter in a fresh clone: every command in it is run.

Two values are others here, both in the page's one block of settings: the address 0.0.0.0, since
tests only listen on loopback, and the port 8443, which may be taken. The ports behind the front
door come from the environment, as on a machine where others use the usual ones.
"""

import json
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.stack.wiring import OFFSETS
from tests.clients.raw_http import exchange, request
from tests.clone import fresh_clone
from tests.shell import Terminal
from tests.stack import environment, free_base
from tests.wait import wait_until

ROOT = Path(__file__).parents[3]


class Page:
    """The page's code blocks, in their order."""

    def __init__(self, text: str, port: int) -> None:
        self._blocks: list[tuple[str, str]] = re.findall(
            r"```(sh|python)\n(.+?)\n```", text, re.DOTALL
        )
        self._port = port

    def next(self, *words: str) -> str:
        """The next block, which must be the one with these words."""
        _, block = self._blocks.pop(0)
        assert all(word in block for word in words), block
        if "GATEWAY_HOST=0.0.0.0" in block:
            assert block.count("8443") == 2
            return block.replace("0.0.0.0", "127.0.0.1").replace("8443", str(self._port))
        return block

    @property
    def done(self) -> bool:
        """Whether every block was taken."""
        return not self._blocks


class Visit:
    """A clone with the page in it, a stack that runs as the page says, a second terminal."""

    def __init__(self, folder: Path, page: Page, second: Terminal, url: str) -> None:
        self.folder = folder
        self.page = page
        self.second = second
        self.url = url

    def run(self, *words: str) -> str:
        """The page's next block, typed into the second terminal."""
        return self.second.run(self.page.next(*words))


needs_programs = pytest.mark.skipif(
    not all(map(shutil.which, ("curl", "openssl", "git", "make"))),
    reason="needs curl, openssl, git and make",
)


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    folder = fresh_clone(tmp_path / "fleetline")
    port = free_base()
    behind = {name.upper(): str(port + n) for name, n in OFFSETS.items() if name != "gateway_port"}
    env = environment(behind)
    page = Page((folder / "docs" / "internet.md").read_text(), port)
    with (
        Terminal(folder, env, tmp_path / "first.log") as first,
        Terminal(folder, env, tmp_path / "second.log") as second,
    ):
        first.run(page.next("openssl req"))
        first.run(page.next("> .env"))
        first.type(page.next("make up"))
        wait_until(
            lambda: "\nready https://" in first.said() or "Error" in first.said(), timeout_s=60
        )
        assert f"ready https://127.0.0.1:{port}" in first.said(), first.said()
        assert "installing" not in first.said()
        yield Visit(folder, page, second, f"https://localhost:{port}")
        assert "\nstopped\n" in first.interrupt()


@needs_programs
def test_the_page_is_followed_to_the_letter(visit: Visit) -> None:
    run, folder = visit.run, visit.folder
    assert (folder / ".env").stat().st_mode & 0o077 == 0
    run(". ./.env")
    driver = _kept(run("token create --role driver") and visit.second.run("echo $DRIVER"))
    run("key create --role gateway")
    key = _kept(visit.second.run("echo $KEY"))
    assert key.startswith("flk_")

    assert " 202 Accepted" in run("curl", "Bearer $DRIVER", "driver-1")
    assert " 200 OK" in run("curl", "/owntracks", '-u "driver-1:$DRIVER"')
    stranger = run("curl", "driver-1")
    assert " 401 Unauthorized" in stranger
    assert "www-authenticate: Bearer" in stranger
    assert " 403 Forbidden" in run("curl", "Bearer $DRIVER", "driver-2")

    certificate = ssl.create_default_context(cafile=folder / ".fleetline" / "cert.pem")
    with httpx.Client(base_url=visit.url, verify=certificate) as api:
        _a_customer_watches(visit, api, key)
        _headers_of_a_closed_door(api)
        assert "driver-1" in run("token revoke --subject driver-1")
        _is_refused_soon(api, driver)
    assert "my-shop" in run("key list")
    assert visit.page.done
    secret = re.findall(r"AUTH_SECRET=(\w{64})", (folder / ".env").read_text())
    _nothing_leaks(folder, [driver, key, *secret])


def _kept(value: str) -> str:
    assert re.fullmatch(r"[\w.-]{20,}", value), value
    return value


def _a_customer_watches(visit: Visit, api: httpx.Client, key: str) -> None:
    """The link leads to the page, and its token opens a socket over TLS: the phone's fix."""
    # A new key takes a moment to be known everywhere.
    bearer = {"Authorization": f"Bearer {key}"}
    order = "/api/v1/orders/order-1/location"
    wait_until(lambda: api.get(order, headers=bearer).status_code == 200, timeout_s=3)
    link = json.loads(visit.run("tracking-token"))
    assert link["url"] == f"{visit.url}/track/order-1#token={link['token']}"
    assert api.get("/track/order-1").status_code == 200

    (visit.folder / "watch.py").write_text(visit.page.next("import picows"))
    visit.second.type(visit.page.next("watch.py"))
    wait_until(lambda: "}}\n" in visit.second.said(), timeout_s=10, what="a frame")
    frame = json.loads(visit.second.said().splitlines()[0])
    assert frame["type"] == "location_update"
    assert (frame["data"]["driver_id"], frame["data"]["latitude"]) == ("driver-1", 53.41)
    visit.second.interrupt()


def _headers_of_a_closed_door(api: httpx.Client) -> None:
    page, health = api.get("/track/order-1"), api.get("/health")
    for headers in (page.headers, health.headers):
        assert headers["strict-transport-security"].startswith("max-age=")
        assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert health.json() == {"status": "ok"}
    # Plain HTTP at a door that speaks TLS.
    plain = exchange(api.base_url.port or 443, request("GET", "/health"))
    assert (plain.status, json.loads(plain.body)["type"]) == (400, "/problems/malformed-request")


def _is_refused_soon(api: httpx.Client, token: str) -> None:
    fix, bearer = {"latitude": 1.0, "longitude": 2.0}, {"Authorization": f"Bearer {token}"}
    path = "/api/v1/drivers/driver-1/location"
    wait_until(lambda: api.post(path, json=fix, headers=bearer).status_code == 401, timeout_s=3)


def _nothing_leaks(folder: Path, secrets: list[str]) -> None:
    """No log, state or status holds a secret."""
    assert len(secrets) == 3
    home = folder / ".fleetline"
    told = [file for name in ("log", "run") for file in home.glob(f"{name}/**/*") if file.is_file()]
    assert told
    for file in told:
        text = file.read_text(errors="replace")
        assert not [secret[-20:] for secret in secrets if secret[-20:] in text], file


def test_open_to_others_is_refused_in_one_line(tmp_path: Path) -> None:
    for role in ("ingest", "fanout", "consumers", "up"):
        result = subprocess.run(
            [sys.executable, "-m", "deploy.cli", role],
            cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
            env={**environment(), "PYTHONPATH": str(ROOT), "BIND_HOST": "0.0.0.0"},
        )  # fmt: skip
        assert result.returncode == 2, role
        (line,) = result.stderr.splitlines()
        assert "AUTH=on" in line
    assert not list(tmp_path.iterdir())
