"""Dashboards, alerts and `fleetline top` speak of the metrics that there are."""

import io
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from common.metrics.catalogue import BY_ROLE, CATALOGUE, ROLES
from common.metrics.exposition import Page
from common.metrics.metric import MetricKind
from common.metrics.names import consumers, fanout, ingest, process
from common.metrics.snapshot import Snapshot
from deploy.observe.dashboards.__main__ import files
from deploy.observe.overview import overview_of
from deploy.observe.reading import Change, PagesReading
from deploy.observe.top_view import how_long, screen
from tests.servers.prometheus import FOLDER, HAVE_PROMETHEUS, MISSING, alert_names, scrape_config

ROOT = Path(__file__).parents[3]
NAME = re.compile(r"\bfleetline_\w+")


def known(name):
    stem = re.sub(r"_(bucket|sum|count)$", "", name)
    return name in CATALOGUE or (stem in CATALOGUE and CATALOGUE[stem].kind is MetricKind.HISTOGRAM)


def test_the_dashboards_are_current():
    for path, text in files().items():
        assert path.read_text() == text, "make observe"
    assert {path.name for path in FOLDER.parent.glob("grafana/*")} == {x.name for x in files()}


def test_dashboards_and_alerts_name_metrics_that_there_are():
    texts = [*files().values(), (FOLDER / "alerts.yml").read_text()]
    named = {name for text in texts for name in NAME.findall(text)}
    assert sorted(name for name in named if not known(name)) == []
    assert len(named) > 30


def test_what_is_watched_by_no_dashboard_and_no_alert_is_named_here():
    """A metric that nobody looks at is either of use by itself, or of none."""
    texts = [*files().values(), (FOLDER / "alerts.yml").read_text()]
    named = {re.sub(r"_bucket$", "", name) for text in texts for name in NAME.findall(text)}
    assert sorted(set(CATALOGUE) - named) == [
        "fleetline_build_info",
        "fleetline_process_start_time_seconds",
    ]


def test_each_alert_has_a_section_that_says_what_to_do():
    page = (ROOT / "docs/alerts.md").read_text()
    sections = dict(
        re.findall(r"^### (Fleetline\w+)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    )
    assert sorted(sections) == sorted(alert_names())
    for name, text in sections.items():
        assert all(f"**{part}**" in text for part in ("Means", "Look at", "Do")), name
    assert sorted(name for name in NAME.findall(page) if not known(name)) == []


def test_each_alert_has_a_test():
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    fired = {
        re.search(r'"(\w+)"', sample["labels"])[1]
        for test in tests
        for check in test["promql_expr_test"]
        for sample in check["exp_samples"]
    }
    assert fired == set(alert_names())


def test_every_role_is_scraped():
    targets = yaml.safe_load(scrape_config(9020))["scrape_configs"][0]["static_configs"]
    scraped = [target["labels"]["role"] for target in targets]
    # Roads run where there is a graph, which most installations do not have.
    always = [role for role in ROLES if role != "roads"]
    assert set(BY_ROLE) - {"roads"} <= set(scraped)
    assert sorted(scraped, key=ROLES.index) == sorted(always, key=ROLES.index)


@pytest.mark.skipif(not HAVE_PROMETHEUS, reason=MISSING)
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
)
def test_promtool_finds_nothing_wrong(arguments):
    tool = shutil.which("promtool")
    done = subprocess.run(
        (tool, *arguments), cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def page_of(**values):
    """A page with these metrics (by their names without prefix), labels given as pairs."""
    snapshot = Snapshot()
    for name, series in values.items():
        for labels, value in series.items():
            snapshot.put(CATALOGUE[f"fleetline_{name}"], value, *labels)
    return Page(CATALOGUE, snapshot.values).encoded("")[0].decode()


def reading(at_s, **pages):
    made = PagesReading(at_s)
    for role, values in pages.items():
        made.add_page(role, page_of(**values))
    return made


HEALTHY = {
    "ingest": {
        "fixes_total": {("accepted",): 100, ("overloaded",): 0},
        "lag_fixes": {("0",): 3, ("1",): 0},
        "lag_seconds": {("0",): 0.5, ("1",): 0},
        "room_seconds": {("0",): math.inf, ("1",): 1e6},
        "redis_up": {(): 1},
        "redis_memory_bytes": {(): 10},
        "redis_memory_limit_bytes": {(): 100},
        "process_up": {("ingest",): 1},
    },
    "consumers": {
        "shard_owner": {("0", "a"): 1, ("1", "b"): 1},
        "database_up": {("0",): 1, ("1",): 1},
        "process_up": {("consumer-0",): 1},
        "report_age_seconds": {("consumer-0",): 1},
    },
}


def merged(role, **values):
    return {name: {**pages, **(values if name == role else {})} for name, pages in HEALTHY.items()}


def test_top_says_that_all_is_well():
    later = merged("ingest", fixes_total={("accepted",): 150, ("overloaded",): 0})
    overview = overview_of(Change(reading(10.0, **HEALTHY), reading(12.0, **later)))
    assert overview.troubles == []
    assert overview.flow["accepted"] == 25
    assert overview.stores["redis_memory_used"] == 0.1
    assert [(x["shard"], x["owner"], x["lag_fixes"]) for x in overview.shards] == [
        (0, "a", 3),
        (1, "b", 0),
    ]


@pytest.mark.parametrize(
    ("role", "values", "trouble"),
    [
        ("ingest", {"fixes_total": {("overloaded",): 20}}, "10 fixes a second are answered 503"),
        ("ingest", {"redis_up": {(): 0}}, "Redis is away"),
        ("ingest", {"redis_memory_bytes": {(): 90}}, "Redis uses 90% of its memory"),
        ("ingest", {"lag_seconds": {("0",): 61}}, "shard 0 is 61 s behind"),
        ("ingest", {"room_seconds": {("1",): 60}}, "shard 1 refuses fixes in 60 s"),
        ("consumers", {"database_up": {("0",): 0}}, "the database is away"),
        ("consumers", {"dead_letters_waiting": {("0",): 2}}, "2 dead letters wait"),
        ("consumers", {"shard_owner": {("0", "a"): 1}}, "shard 1 has no writer"),
        ("consumers", {"process_up": {("consumer-0",): 0}}, "consumer-0 does not run"),
        ("consumers", {"report_age_seconds": {("consumer-0",): 11}}, "consumer-0 hangs"),
    ],
)
def test_top_says_what_is_wrong(role, values, trouble):
    before = reading(10.0, **HEALTHY)
    overview = overview_of(Change(before, reading(12.0, **merged(role, **values))))
    assert overview.troubles == [trouble]


def test_top_shows_what_there_is_and_nothing_where_nothing_answers():
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(screen(overview_of(Change(reading(1.0, **HEALTHY), reading(2.0, **HEALTHY)))))
    console.print(screen(overview_of(Change(PagesReading(1.0), PagesReading(2.0)))))
    text = console.export_text()
    assert "all is well: ingest, consumers" in text
    assert "nothing answers" in text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (math.inf, "lasts"),
        (59.0, "0 min"),
        (1800.0, "30 min"),
        (5999.0, "99 min"),
        (6000.0, "1 h"),
        (172_799.0, "47 h"),
        (172_800.0, "2 d"),
        (40_148_587.3, "464 d"),
    ],
)
def test_how_long_room_lasts_fits_a_narrow_column(seconds, shown):
    assert how_long(seconds) == shown


def test_rates_count_from_zero_after_a_restart_and_quantiles_are_those_of_prometheus():
    names = (consumers.STORED_ROWS, fanout.SOCKETS, process.UP, ingest.FIXES)
    assert all(metric.name in CATALOGUE for metric in names)
    before, after = PagesReading(0.0), PagesReading(2.0)
    name = "fleetline_write_seconds"
    for made, counts in ((before, (0, 0, 0)), (after, (2, 8, 10))):
        lines = [f"# TYPE {name} histogram"]
        for bound, count in zip(("0.1", "0.2", "+Inf"), counts, strict=True):
            lines.append(f'{name}_bucket{{le="{bound}"}} {count}')
        lines += [f"{name}_count {counts[-1]}", f"{name}_sum 1"]
        made.add_page("ingest", "\n".join(lines) + "\n")
    change = Change(before, after)
    assert change.quantile(0.5, name) == pytest.approx(0.15)
    assert change.quantile(0.99, name) == 0.2
    assert change.quantile(0.5, "fleetline_frame_age_seconds") is None
    before.add_page("x", "# TYPE a_total counter\na_total 10\n")
    after.add_page("x", "# TYPE a_total counter\na_total 4\n")
    assert change.rate("a_total") == 2.0


def test_the_dashboards_are_json_that_grafana_imports():
    for text in files().values():
        board = json.loads(text)
        assert board["uid"].startswith("fleetline-")
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        assert panels
        assert all(panel["targets"] and panel["description"] for panel in panels)
