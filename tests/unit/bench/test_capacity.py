"""Sizes of fleets follow from what was measured, and the docs show those of the last run."""

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.capacity.__main__ import PAGE, ROOT, message_bytes, sizes
from bench.capacity.page import BEGIN, END, amount, cores, page, put
from bench.capacity.sizing import (
    NEEDED,
    USED_SHARE,
    MessageBytes,
    layout_for,
    missing,
    size,
)
from bench.processes import Failed
from bench.report.readme import RESULTS_JSON
from bench.report.result import Figure, figures_of

MESSAGE = MessageBytes(request=400, frame=300)
COSTS = {"ingest": 70.0, "redis": 20.0, "consumers": 35.0, "postgres": 7.0}
FIGURES = {
    **{key: Figure(key, key, 100.0, "bytes") for key in NEEDED},
    "sustained.one": Figure(
        "sustained.one", "", 10_000, "fixes/s", cpu_us=COSTS, totals={"log_bytes_a_fix": 1000}
    ),
    "ingest_many.10": Figure("ingest_many.10", "", 40_000, "fixes/s", cpu_us={"ingest": 28.0}),
    "ingest_one.nginx": Figure("ingest_one.nginx", "", 7_000, "fixes/s", cpu_us={"nginx": 49.0}),
    "one_redis.through": Figure("one_redis.through", "", 50_000, "fixes/s"),
    "fanout.rate": Figure(
        "fanout.rate", "", 90_000, "frames/s", cpu_us={"fanout": 10.5, "redis": 1.5}
    ),
    "end_to_end.direct.frame": Figure(
        "end_to_end.direct.frame", "", 2000, "frames/s", latency_ms={"p50": 5, "p99": 15}
    ),
    **{f"drain.{n}": Figure(f"drain.{n}", "", n * 20_000, "fixes/s") for n in (1, 2, 4, 8)},
}


def test_the_table_in_the_docs_is_that_of_the_last_run():
    found = json.loads((ROOT / RESULTS_JSON).read_text())
    text = PAGE.read_text()
    assert put(text, sizes(found)) == text, "python -m bench.capacity --write"


def test_a_million_drivers_are_computed_from_what_a_fix_costs():
    fleet = size(FIGURES, 1_000_000, MESSAGE)
    assert fleet.fixes_s == 200_000
    assert fleet.ingest_one_cores == pytest.approx(200_000 * 70e-6 / USED_SHARE)
    assert fleet.ingest_ten_cores == pytest.approx(8)
    assert fleet.door_cores == pytest.approx(14)
    # By its CPU 48,780 fixes/s, fewer than it took alone; of these a share.
    assert fleet.primaries == 6
    assert fleet.consumer_cores == pytest.approx(10)
    assert fleet.shards == 18
    # 160,000 rows a second were stored at most.
    assert fleet.databases == 2
    assert fleet.sockets == 333_334
    assert fleet.fanout_cores == pytest.approx(1)
    assert fleet.fanout_processes == 17
    assert fleet.history_day_bytes == 200_000 * 86_400 * 100
    assert fleet.hour_single_bytes == 200_000 * 3600 * 100
    assert fleet.primary_bytes * 6 * 0.9 == pytest.approx(fleet.hour_single_bytes + 1e8)
    assert fleet.in_bytes_s == 80e6
    # Not measured in this run.
    assert (fleet.insight_cores, fleet.places_cores, fleet.arrivals_cores) == (None, None, None)


def test_a_redis_is_never_planned_beyond_what_one_has_carried():
    slow = {**FIGURES, "one_redis.through": replace(FIGURES["one_redis.through"], value=20_000)}
    assert size(slow, 1_000_000, MESSAGE).primaries == 16


@given(st.integers(1, 10**8), st.integers(1, 10**8))
def test_more_drivers_never_need_less(some, more):
    small, large = (size(FIGURES, count, MESSAGE) for count in sorted((some, more)))
    for field in fields(small):
        before, after = getattr(small, field.name), getattr(large, field.name)
        # A further primary takes a part of the others' memory. Shards depend on both.
        if before is not None and field.name not in {"primary_bytes", "shards", "databases"}:
            assert before <= after, field.name


@given(st.integers(1, 60), st.integers(1, 30), st.floats(0.1, 3000))
def test_each_primary_and_each_database_has_as_many_shards(enough, storing, consumer_cores):
    primaries, shards, databases = layout_for(enough, storing, consumer_cores)
    assert shards % primaries == shards % databases == 0
    assert shards >= consumer_cores
    assert enough <= primaries <= enough * 1.3 + 1
    assert storing <= databases <= storing * 1.3 + 1


def test_a_small_fleet_has_the_shards_of_one_machine():
    assert layout_for(1, 1, 0.3) == (1, 4, 1)
    assert layout_for(1, 1, 5.0) == (1, 16, 1)
    assert layout_for(6, 3, 9.7) == (6, 18, 3)


def test_one_primary_more_spares_many_shards():
    assert layout_for(59, 20, 105) == (60, 120, 20)
    assert layout_for(25, 7, 16.0) == (28, 28, 7)


def test_a_run_that_lacks_a_figure_is_refused_by_name():
    found = {key: figure for key, figure in FIGURES.items() if key != "one_redis.through"}
    assert missing(found) == ["one_redis.through"]
    with pytest.raises(Failed, match=r"no sustained\.one"):
        sizes({"scenarios": []})


RUN = {
    "written_at": "2026-01-01", "config": {}, "versions": {"python": "3"}, "scenarios": [],
    "machine": {"cores": 2, "cpu": "x", "memory_gb": 1, "kernel": "k", "load_before": [0]},
}  # fmt: skip


def test_a_run_on_a_busy_machine_says_so():
    noisy = {**RUN, "scenarios": [{"name": "drain", "others_share": 0.5}]}
    assert "used the cores in drain:" in page(noisy, FIGURES, MESSAGE)
    assert "used the cores" not in page(RUN, FIGURES, MESSAGE)


def test_roles_that_were_not_measured_have_no_row_and_others_do():
    text = page(RUN, FIGURES, MESSAGE)
    assert "trips and statistics" not in text
    assert "| 0.2 | 20 | 200 | 70.0 µs of ingest, `sustained.one` |" in text
    assert "10,000,000 drivers are 200 times that rate" in text
    assert "10,000 drivers are" not in text.replace("10,000,000", "")
    with_insight = {**FIGURES, "insight.follow": Figure("insight.follow", "", 7.0, "% of a core")}
    row = "| trips and statistics: cores | 0.1 | 10 | 100 |"
    assert row in page(RUN, with_insight, MESSAGE)


def test_the_marks_are_filled_and_not_missed():
    text = f"# Scale\n\n{BEGIN}\nold\n{END}\n\nmore\n"
    assert put(text, "new\n") == f"# Scale\n\n{BEGIN}\nnew\n{END}\n\nmore\n"
    with pytest.raises(ValueError, match="capacity:begin"):
        put("# Scale\n", "new")


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 KB"), (49e6, "49 MB"), (176.4e9, "176 GB"),
     (999.6e9, "1.0 TB"), (36e15, "36 PB")],
)  # fmt: skip
def test_bytes_are_read_in_units_of_a_thousand(size_bytes, shown):
    assert amount(size_bytes) == shown


def test_cores_are_rounded_up_where_they_are_many():
    assert [cores(value) for value in (0.01, 0.94, 9.94, 10.0, 10.2, 1234.5)] == [
        "0.1", "0.9", "9.9", "10", "11", "1,235",
    ]  # fmt: skip
    assert cores(None) == ""


def test_figures_come_back_from_a_document():
    figure = {"key": "a.b", "label": "l", "value": 1.0, "unit": "x"}
    assert figures_of({"scenarios": [{"figures": [figure]}]}) == {"a.b": Figure(**figure)}


def test_messages_are_those_of_the_workload():
    message = message_bytes()
    assert 250 < message.request < 600
    assert 200 < message.frame < 500
