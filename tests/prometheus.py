"""A real Prometheus for tests, with the project's own configuration made quicker."""

import json
import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from common.metrics.catalogue import ROLES, metrics_port
from tests.servers import free_port
from tests.wait import wait_until

FOLDER = Path(__file__).parents[1] / "deploy/prometheus"
MISSING = "prometheus and promtool (Debian: apt install prometheus) are not here"
HAVE_PROMETHEUS = all(shutil.which(name) for name in ("prometheus", "promtool"))
# Scrapes and rules as often as this; the rules' own times are cut down to it, see `hurried`.
EVERY = "500ms"
# Instead of `$__rate_interval`, and of longer windows in rules.
WINDOW = "4s"


def hurried(rules: str) -> str:
    """Alerts that wait half a second, look back a few and find a lag of some seconds long."""
    rules = re.sub(r"\[\d+m\]", f"[{WINDOW}]", re.sub(r"for: \w+", "for: 500ms", rules))
    return rules.replace("(fleetline_lag_seconds) > 60", "(fleetline_lag_seconds) > 3")


def scrape_config(first_port: int) -> str:
    """The project's configuration, for a stack whose ports of metrics begin there."""
    text = re.sub(r"_interval: \w+", f"_interval: {EVERY}", (FOLDER / "prometheus.yml").read_text())
    for role in ROLES:
        port = metrics_port(role)
        assert f"127.0.0.1:{port}" in text, role
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{metrics_port(role, first_port)}")
    return text


class Prometheus:
    """Scrapes the stack whose ports of metrics begin at `first_port`. Use as a context."""

    def __init__(self, folder: Path, first_port: int) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "prometheus.yml").write_text(scrape_config(first_port))
        (folder / "alerts.yml").write_text(hurried((FOLDER / "alerts.yml").read_text()))

    def __enter__(self) -> Self:
        with (self._folder / "prometheus.log").open("wb") as output:
            self._process = subprocess.Popen(
                (
                    "prometheus",
                    f"--config.file={self._folder}/prometheus.yml",
                    f"--storage.tsdb.path={self._folder}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--log.level=warn",
                ),
                stdout=output,
                stderr=output,
                env={"PATH": os.environ["PATH"], "GOMAXPROCS": "1"},
            )
        wait_until(self._is_ready, timeout_s=30, what="prometheus")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series that an expression gives now."""
        answer = self._get("query", {"query": expr.replace("$__rate_interval", WINDOW)})
        assert answer["status"] == "success", answer
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series

    def value(self, expr: str) -> float | None:
        """The only number that it gives."""
        series = self.query(expr)
        return float(series[0]["value"][1]) if series else None

    def firing(self) -> set[str]:
        """The alerts that fire."""
        return {x["metric"]["alertname"] for x in self.query('ALERTS{alertstate="firing"}')}

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError((self._folder / "prometheus.log").read_text())
        try:
            return bool(self.query("up"))
        except OSError:
            return False

    def _get(self, what: str, fields: Mapping[str, str]) -> dict[str, Any]:
        data = urllib.parse.urlencode(fields).encode()
        url = f"http://127.0.0.1:{self._port}/api/v1/{what}"
        with urllib.request.urlopen(url, data, timeout=10) as reply:
            answer: dict[str, Any] = json.load(reply)
        return answer


def alert_names() -> list[str]:
    """The alerts of the project."""
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"]]
