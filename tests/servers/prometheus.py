"""A real Prometheus for tests, with the project's own configuration made quicker."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import pytest
import yaml

from common.metrics.catalogue import ROLES, metrics_port
from tests.servers import free_port
from tests.wait import pace, until, wait_until

FOLDER = Path(__file__).parents[2] / "deploy/prometheus"
MISSING = "prometheus and promtool (Debian: apt install prometheus) are not here"
HAVE_PROMETHEUS = all(shutil.which(name) for name in ("prometheus", "promtool"))
# Scrapes and rules as often as this; the rules' own times are cut down to it, see `hurried`.
EVERY = "500ms"
# Instead of `$__rate_interval`, and of longer windows in rules.
WINDOW = "6s"


# Limits that would take minutes to pass, and those of tests.
SOONER = {
    "max by (shard) (fleetline_lag_seconds) > 60": 4,
    "max(fleetline_insight_lag_seconds) > 300": 32,
    "max(fleetline_places_turn_age_seconds) > 60": 4,
    "fleetline_report_age_seconds > 10": 3,
}


def hurried(rules: str) -> str:
    """Alerts that wait half a second, look back a few and have the limits of SOONER."""
    # Deaths of ten minutes; half a dozen do not fit into a short window.
    rules = rules.replace("[10m]", "[30s]")
    rules = re.sub(r"\[\d+m\]", f"[{WINDOW}]", re.sub(r"for: \w+", "for: 500ms", rules))
    for condition, limit in SOONER.items():
        assert rules.count(condition) == 1, condition
        rules = rules.replace(condition, f"{condition.rpartition(' ')[0]} {limit}")
    return rules


def scrape_config(first_port: int, more: Mapping[str, int] = MappingProxyType({})) -> str:
    """The project's configuration, for a stack whose ports of metrics begin there.

    `more`: roles beside it, with their ports.
    """
    text = re.sub(r"_interval: \w+", f"_interval: {EVERY}", (FOLDER / "prometheus.yml").read_text())
    for role in ROLES:
        port = metrics_port(role)
        assert f"127.0.0.1:{port}" in text, role
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{metrics_port(role, first_port)}")
    for role, port in more.items():
        text += f'      - targets: ["127.0.0.1:{port}"]\n        labels: {{role: {role}}}\n'
    return text


class Prometheus:
    """Scrapes the stack whose ports of metrics begin at `first_port`, and `more` roles by their
    ports. Use as a context.
    """

    def __init__(
        self, folder: Path, first_port: int, more: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "prometheus.yml").write_text(scrape_config(first_port, more))
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

    def told(self, *alerts: str) -> list[dict[str, str]]:
        """The labels of those that fire of these, to say whom it is about."""
        series = self.query('ALERTS{alertstate="firing"}')
        return [x["metric"] for x in series if x["metric"]["alertname"] in alerts]

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


class Alarms:
    """The alerts that were caused, and fired: `seen`."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.seen: set[str] = set()
        self._prometheus = prometheus
        self._caused: set[str] = set()

    @contextlib.asynccontextmanager
    async def told_of(self, *alerts: str) -> AsyncIterator[None]:
        """They do not fire before the block, where their cause begins, and have by its end."""
        await self.end(*alerts)
        self._caused.update(alerts)
        yield
        await self.fire(*alerts)

    async def fire(self, *alerts: str) -> None:
        """Wait until each of them has fired since its cause began, or now."""
        self._caused.update(alerts)

        async def told() -> bool:
            await pace(0.1)
            self.seen |= self._prometheus.firing() & self._caused
            return self.seen >= set(alerts)

        try:
            await until(told, timeout_s=40)
        except TimeoutError:
            left = sorted(set(alerts) - self.seen)
            pytest.fail(f"{left} did not fire, but {sorted(self._prometheus.firing())}")

    async def end(self, *alerts: str) -> None:
        """Wait until none of them fires."""

        async def over() -> bool:
            await pace(0.1)
            return not self._prometheus.firing() & set(alerts)

        try:
            await until(over, timeout_s=40)
        except TimeoutError:
            pytest.fail(f"did not end: {self._prometheus.told(*alerts)}")


def alert_names() -> list[str]:
    """The alerts of the project."""
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule["alert"] for group in groups for rule in group["rules"]]
