"""`docs/internet.md`, followed to the letter: every command in it is run, on other ports."""

import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from common.process import set_parent_death_signal
from tests.stack import environment, free_base
from tests.wait import wait_until

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "internet.md"


class Reader:
    """Somebody who pastes the page's commands into a shell, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.port = free_base()
        self.folder = folder
        self.variables: dict[str, str] = {}
        commands = re.findall(r"```sh\n(.+?)\n```", PAGE.read_text(), re.DOTALL)
        # A port of its own, the programs of this run's Python, and, as all tests, loopback.
        fleetline = f"{sys.executable} -m deploy.cli"
        self.commands = [
            command.replace("8443", str(self.port))
            .replace(".venv/bin/fleetline", fleetline)
            .replace("0.0.0.0", "127.0.0.1")
            for command in commands
        ]
        self.url = f"https://localhost:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        return {**environment(), "PYTHONPATH": str(ROOT), **self.variables}

    def next(self, *words: str) -> str:
        """The next command, which must be the one with these words."""
        command: str = self.commands.pop(0)
        assert all(word in command for word in words), command
        return command

    def run(self, *words: str) -> str:
        """Run it; what it says. `NAME=$(…)` is kept for later ones."""
        command = self.next(*words).replace("curl ", "curl -sS -w '\\n%{http_code}' ")
        kept = re.fullmatch(r"([A-Z]+)=\$\((.+)\)", command)
        result = subprocess.run(
            ["bash", "-c", kept[2] if kept else command],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        if kept:
            self.variables[kept[1]] = result.stdout.strip()
        return result.stdout.strip()


needs_programs = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl"
)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    found = Reader(tmp_path)
    found.run("openssl req")
    output = tmp_path / "up.out"
    with output.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-c", f"exec env {found.next('up --auth')}"],
            cwd=tmp_path, env=found.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            preexec_fn=lambda: set_parent_death_signal(signal.SIGTERM),
        )  # fmt: skip
    try:
        wait_until(
            lambda: "\nready https://" in output.read_text() or process.poll() is not None,
            timeout_s=60,
        )
        assert process.poll() is None, output.read_text()
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@needs_programs
def test_the_page_is_followed_to_the_letter(reader: Reader) -> None:
    folder = reader.folder
    secret = folder / ".fleetline" / "auth.secret"
    assert secret.stat().st_mode & 0o077 == 0
    driver = reader.run("token create --role driver")
    key = reader.run("key create --role gateway")
    assert key.startswith("flk_")

    # The key takes a moment to be known everywhere.
    assert reader.run("curl", "Bearer $DRIVER", "driver-1").endswith("202")
    assert reader.run("curl", "driver-1").endswith("401")
    assert reader.run("curl", "Bearer $DRIVER", "driver-2").endswith("403")

    trusting = httpx.Client(
        base_url=reader.url, verify=ssl.create_default_context(cafile=folder / "cert.pem")
    )
    link_path = "/api/v1/orders/order-1/tracking-token"
    bearer = {"Authorization": f"Bearer {key}"}
    wait_until(lambda: trusting.post(link_path, headers=bearer).status_code == 200, timeout_s=3)
    answer = reader.run("tracking-token")
    assert answer.endswith("200")
    assert f'"url":"{reader.url}/track/order-1#token=' in answer

    page = trusting.get("/track/order-1")
    for headers in (page.headers, trusting.get("/health").headers):
        assert headers["strict-transport-security"].startswith("max-age=")
        assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert trusting.get("/health").json() == {"status": "ok"}

    assert "driver-1" in reader.run("token revoke --subject driver-1")
    fix = {"latitude": 1.0, "longitude": 2.0}
    path, mine = "/api/v1/drivers/driver-1/location", {"Authorization": f"Bearer {driver}"}
    wait_until(lambda: trusting.post(path, json=fix, headers=mine).status_code == 401, timeout_s=3)
    trusting.close()
    assert "my-shop" in reader.run("key list")
    assert reader.commands == []
    _nothing_leaks(folder, [driver, key, secret.read_text().strip()])


def _nothing_leaks(folder: Path, secrets: list[str]) -> None:
    """No log, state or status holds a secret."""
    home = folder / ".fleetline"
    told = [*home.glob("log/*"), *home.glob("run/*")]
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
