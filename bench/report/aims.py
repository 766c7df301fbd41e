"""What is aimed at, and whether a run met it. Pure: figures in, verdicts out.

Aims are for two cores with the load generator on them. Ratios compare figures of one run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.report.result import Figure

Figures = Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound on something that figures say. `most`: the value must not be above."""

    label: str
    unit: str
    bound: float
    most: bool
    # Raises KeyError where a figure is missing, so the aim was not measured.
    value: Callable[[Figures], float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """An aim with what was measured; None when it was not."""

    aim: Aim
    value: float | None

    @property
    def met(self) -> bool | None:
        """Whether it was met; None when it was not measured."""
        if self.value is None:
            return None
        return self.value <= self.aim.bound if self.aim.most else self.value >= self.aim.bound

    def text(self) -> str:
        """met, missed, or not measured."""
        return {True: "met", False: "**missed**", None: "not measured"}[self.met]


def _value(key: str) -> Callable[[Figures], float]:
    return lambda found: found[key].value


def _latency(key: str, name: str) -> Callable[[Figures], float]:
    return lambda found: found[key].latency_ms[name]


def _ratio(key: str, other: str) -> Callable[[Figures], float]:
    return lambda found: found[key].value / found[other].value


def _cpu(key: str) -> Callable[[Figures], float]:
    return lambda found: found[key].cpu_us_total()


def _cpu_ratio(found: Figures) -> float:
    ours, empty = found["ingest_one.direct"].cpu_us, found["ingest_one.empty"].cpu_us
    return ours["ingest"] / empty["empty"]


def _added(key: str, other: str) -> Callable[[Figures], float]:
    return lambda found: found[key].cpu_us["ingest"] - found[other].cpu_us["ingest"]


def _more_cpu(key: str, other: str) -> Callable[[Figures], float]:
    return lambda found: found[key].cpu_us["ingest"] / found[other].cpu_us["ingest"]


def _slower(key: str, other: str, name: str) -> Callable[[Figures], float]:
    return lambda found: found[key].latency_ms[name] / found[other].latency_ms[name]


def _off_limit(found: Figures) -> float:
    flooder = found["access.flooder"]
    return abs(flooder.value / float(flooder.totals["limit_per_s"]) - 1)


def _refused_others(found: Figures) -> float:
    keys = ("access.alone", "access.extra", "access.flood")
    return float(sum(found[key].totals["refused_429"] for key in keys))


def _log_bytes(found: Figures) -> float:
    return float(found["sustained.many"].totals["log_bytes_a_fix"])


def _flat(found: Figures) -> float:
    costs = [found[f"drain.{shards}"].cpu_us_total() for shards in (1, 2, 4, 8)]
    return max(costs) / costs[0]


AIMS = (
    Aim("POST one: CPU of ingest ÷ empty Falcon handler", "times", 1.4, True, _cpu_ratio),
    Aim("POST one: requests/s ÷ plain design", "times", 7, False,
        _ratio("ingest_one.direct", "ingest_one.plain")),
    Aim("POST many, 100 a body", "fixes/s", 120_000, False, _value("ingest_many.100")),
    Aim("drain, one consumer", "fixes/s", 80_000, False, _value("drain.1")),
    Aim("drain ÷ bare COPY", "times", 0.35, False, _ratio("drain.1", "drain.copy")),
    Aim("drain ÷ plain worker", "times", 60, False, _ratio("drain.1", "drain.plain")),
    Aim("fan-out", "frames/s", 60_000, False, _value("fanout.rate")),
    Aim("fan-out ÷ plain design", "times", 5, False, _ratio("fanout.rate", "fanout_plain.rate")),
    Aim("fan-out, memory a socket", "KB", 20, True, _value("fanout.memory")),
    Aim("2,000/s: ingest p99, direct", "ms", 10, True, _latency("end_to_end.direct.ingest", "p99")),
    Aim("2,000/s: POST → frame p50, direct", "ms", 5, True,
        _latency("end_to_end.direct.frame", "p50")),
    Aim("2,000/s: POST → frame p99, direct", "ms", 12, True,
        _latency("end_to_end.direct.frame", "p99")),
    Aim("2,000/s: all roles", "µs CPU a fix", 260, True, _cpu("end_to_end.direct.ingest")),
    Aim("2,000/s: POST → frame p99, through nginx", "ms", 30, True,
        _latency("end_to_end.nginx.frame", "p99")),
    Aim("sustained, POST one", "fixes/s", 14_000, False, _value("sustained.one")),
    Aim("sustained, POST many", "fixes/s", 55_000, False, _value("sustained.many")),
    Aim("whole path, POST one", "µs CPU a fix", 150, True, _cpu("sustained.one")),
    Aim("whole path, POST many", "µs CPU a fix", 28, True, _cpu("sustained.many")),
    Aim("Redis' append-only file, POST many", "bytes a fix", 500, True, _log_bytes),
    Aim("CPU a fix of 1 to 8 shards ÷ of 1 shard", "times", 1.25, True, _flat),
    Aim("current position p99", "ms", 1, True, _latency("reads.current", "p99")),
    Aim("nearby, 50 of 10,000, p99", "ms", 5, True, _latency("reads.nearby_few", "p99")),
    Aim("a day of one driver's route", "ms", 100, True, _value("reads.route")),
    Aim("2,000/s: CPU of ingest, AUTH=on ÷ off", "times", 1.15, True,
        _more_cpu("access.paced.closed", "access.paced.open")),
    Aim("2,000/s: ingest p50, AUTH=on ÷ off", "times", 1.15, True,
        _slower("access.paced.closed", "access.paced.open", "p50")),
    Aim("POST one: a known token", "µs CPU more", 5, True,
        _added("access.loop.closed", "access.loop.open")),
    Aim("insight: backfill, one process", "fixes/s", 150_000, False, _value("insight.backfill")),
    Aim("insight: a day of every driver, 10M rows", "ms", 50, True,
        _latency("insight.fleet", "p50")),
    Aim("insight: heat of an hour, 10,000 drivers", "ms", 200, True,
        _latency("insight.heat", "p50")),
    Aim("insight: 2,000 fixes/s of 10,000 drivers", "% of a core", 10, True,
        _value("insight.follow")),
    Aim("insight: results behind at most", "s", 30, True, _value("insight.behind")),
    Aim("insight: CPU of a drain, with ÷ without it", "times", 1.03, True,
        _value("beside_drain.in_time")),
    Aim("insight: POST → frame p99, with it", "ms more", 2, True,
        _value("beside_live.insight.p99")),
    Aim("places: POST → frame p99, with them", "ms more", 2, True,
        _value("beside_live.places.p99")),
    Aim("a crossing on the webhook, p99 at 2,000 fixes/s", "ms", 500, True,
        _latency("crossings.webhook", "p99")),
    Aim("metrics: POST one", "% more CPU", 1, True, _value("metrics.one")),
    Aim("metrics: POST many", "% more CPU", 1, True, _value("metrics.many")),
    Aim("metrics: drain", "% more CPU", 1, True, _value("metrics.drain")),
    Aim("metrics: frames", "% more CPU", 1, True, _value("metrics.frames")),
    Aim("10,200 geofences, pages of 50", "µs CPU a fix", 10, True, _value("geofences.50")),
    Aim("10,200 geofences, pages of 500", "µs CPU a fix", 10, True, _value("geofences.500")),
    Aim("arrivals by the pace of earlier trips: mean error", "min", 3.0, True,
        _value("pace.error")),
    Aim("… ÷ that of a straight line", "times", 0.5, True, _ratio("pace.error", "pace.straight")),
    Aim("arrivals of 2,000 active orders", "% of a core", 25, True, _value("arrivals.cpu")),
    Aim("POST → frame p99 with arrivals, more than without", "ms", 2, True,
        _value("arrivals.slower")),
    Aim("flooding driver: off its limit", "of it", 0.05, True, _off_limit),
    Aim("flooding driver: 429s of others", "answers", 0, True, _refused_others),
    Aim("others' p50 beside a flood ÷ beside as many others", "times", 1.05, True,
        _slower("access.flood", "access.extra", "p50")),
    Aim("others' p99 beside a flood ÷ beside as many others", "times", 1.1, True,
        _slower("access.flood", "access.extra", "p99")),
)  # fmt: skip


def judge(figures: Figures) -> list[Verdict]:
    """Every aim with its value."""
    verdicts = []
    for aim in AIMS:
        try:
            verdicts.append(Verdict(aim, round(aim.value(figures), 2)))
        except (KeyError, ZeroDivisionError):
            verdicts.append(Verdict(aim, None))
    return verdicts
