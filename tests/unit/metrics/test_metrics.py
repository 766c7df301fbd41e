"""Numbers of a role's processes: what they add up to, and how they are shown."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from common.metrics.catalogue import BY_ROLE, CATALOGUE, ROLES, metrics_port
from common.metrics.collection import Collection
from common.metrics.exposition import Page
from common.metrics.histogram import Histogram
from common.metrics.metric import Merge, MetricKind, counter, gauge, histogram
from common.metrics.names import ingest, process
from common.metrics.processes import ProcessTable
from common.metrics.reporter import Reporter
from common.metrics.snapshot import Snapshot, decode_report, encode_report
from deploy.observe import metrics_page

SEEN = counter("seen_total", "Seen.", labels=("shard",))
LEAST = gauge("least", "The least.", merge=Merge.LEAST)
MOST = gauge("most", "The most.", merge=Merge.MOST)
SUM = gauge("sum", "All.")
TOOK = histogram("took_seconds", "Took.", bounds=(1.0, 2.0))
OWN = gauge("own", "Of a process.", labels=("process",))
METRICS = {metric.name: metric for metric in (SEEN, LEAST, MOST, SUM, TOOK, OWN)}


def said(seen=0, took=(), shard=0):
    snapshot = Snapshot()
    snapshot.put(SEEN, seen, shard)
    times = Histogram(TOOK)
    for value in took:
        times.observe(value)
    snapshot.put_histogram(TOOK, times)
    return snapshot.values


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.one_of(st.just(None), st.lists(st.floats(0, 3), max_size=5)),
        )
    )
)
def test_no_counter_falls_whatever_dies(steps):
    """Model: each life of a process counts from 0; the sum is all that was ever reported."""
    collection = Collection(METRICS)
    lives, dead = {}, []
    before = (0.0, [0.0, 0.0, 0.0, 0.0])
    for name, took in steps:
        if took is None:
            collection.ended(name)
            dead += lives.pop(name, [])
        else:
            lives[name] = lives.get(name, []) + took
            collection.report(name, said(len(lives[name]), lives[name]))
        merged = collection.merged()
        seen = merged.get("seen_total", {}).get(("0",), 0.0)
        times = merged.get("took_seconds", {}).get((), [0.0, 0.0, 0.0, 0.0])
        everything = [*dead, *itertools.chain(*lives.values())]
        assert seen == len(everything) == sum(times[:-1])
        assert times[-1] == pytest.approx(sum(everything))
        assert seen >= before[0]
        assert all(a >= b - 1e-9 for a, b in zip(times, before[1], strict=True))
        before = (seen, times)


def test_gauges_go_with_their_process_and_merge_as_they_say():
    collection = Collection(METRICS)
    for name, value in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
        snapshot = Snapshot()
        for metric in (LEAST, MOST, SUM):
            snapshot.put(metric, value)
        collection.report(name, snapshot.values)
    merged = collection.merged()
    assert [merged[n][()] for n in ("least", "most", "sum")] == [1.0, 3.0, 6.0]
    collection.ended("b")
    merged = collection.merged()
    assert [merged[n][()] for n in ("least", "most", "sum")] == [2.0, 3.0, 5.0]


def test_what_is_another_releases_is_left_out():
    collection = Collection(METRICS)
    values = {"new_total": {(): 1.0}, "sum": {("x",): 1.0, (): [1.0]}, "took_seconds": {(): [1.0]}}
    collection.report("a", values)
    assert {series for by_labels in collection.merged().values() for series in by_labels} == set()


def test_a_process_learns_its_name_from_its_main_process():
    collection = Collection(METRICS)
    snapshot = Snapshot()
    snapshot.put(OWN, 5)
    collection.report("consumer-1", snapshot.values)
    assert collection.merged()["own"] == {("consumer-1",): 5}


def test_reports_travel_whole_and_rubbish_is_no_report():
    values = {**said(3, (0.5, 9.0), 7), "sum": {(): math.inf}}
    report = decode_report(encode_report(42, values))
    assert report is not None
    assert (report.pid, report.values()) == (42, values)
    assert [decode_report(data) for data in (b".", b"", b"\x93", b"\xc1" * 10)] == [None] * 4


def test_a_reporter_says_what_its_sources_count_and_what_every_process_has():
    heard = []
    Reporter(heard.append, lambda snapshot: snapshot.put(ingest.PACKS, 2)).report_now()
    values = decode_report(heard[0]).values()
    assert values["fleetline_packs_total"] == {(): 2}
    assert values[process.CPU.name][()] > 0
    assert values[process.RESIDENT.name][()] > 1_000_000


def test_a_table_of_processes_counts_restarts():
    table = ProcessTable()
    table.began("consumer-0", 10.0)
    table.ended("consumer-0")
    table.began("consumer-1", 11.0)
    table.began("consumer-0", 12.0)
    table.ended("consumer-1")
    table.heard("consumer-0", 13.0)
    snapshot = Snapshot()
    table.put(snapshot, 15.0)
    assert snapshot.values[process.UP.name] == {("consumer-0",): 1, ("consumer-1",): 0}
    assert snapshot.values[process.RESTARTS.name] == {("consumer-0",): 1, ("consumer-1",): 0}
    assert snapshot.values[process.REPORT_AGE.name] == {("consumer-0",): 2.0}


@given(st.lists(st.floats(0, 5)))
def test_a_histogram_counts_as_prometheus_reads_it(values):
    times = Histogram(TOOK)
    for value in values[::2]:
        times.observe(value)
    for value in values[1::2]:
        times.observe_many(value, 3)
    snapshot = Snapshot()
    snapshot.put_histogram(TOOK, times)
    text = Page(METRICS, snapshot.values).encoded("")[0].decode()
    [family] = plain_text(text)
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name.endswith("_bucket")}
    weighted = [(v, 1) for v in values[::2]] + [(v, 3) for v in values[1::2]]
    assert buckets == {
        "1.0": sum(n for v, n in weighted if v <= 1.0),
        "2.0": sum(n for v, n in weighted if v <= 2.0),
        "+Inf": sum(n for _, n in weighted),
    }
    [total] = [s.value for s in family.samples if s.name.endswith("_sum")]
    assert total == pytest.approx(sum(v * n for v, n in weighted))


@pytest.mark.parametrize(
    ("accept", "media_type", "read"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", plain_text),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8", plain_text),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text", openmetrics),
    ],
)
def test_every_metric_is_shown_in_both_formats(accept, media_type, read):
    snapshot = Snapshot()
    for metric in CATALOGUE.values():
        labels = [f'odd "{label}"\n' for label in metric.labels]
        if metric.kind is MetricKind.HISTOGRAM:
            times = Histogram(metric)
            times.observe(0.01)
            snapshot.put_histogram(metric, times, *labels)
        else:
            snapshot.put(metric, 1.5, *labels)
    text, given_type = Page(CATALOGUE, snapshot.values).encoded(accept)
    assert given_type.startswith(media_type)
    families = list(read(text.decode()))
    assert {family.name for family in families} == {n.removesuffix("_total") for n in CATALOGUE}
    for family in families:
        assert all(set(s.labels) - {"le"} <= set(_labels(family.name)) for s in family.samples)


def _labels(name):
    return (CATALOGUE.get(name) or CATALOGUE[f"{name}_total"]).labels


def test_the_list_is_sound():
    metrics = [*process.METRICS, *itertools.chain(*BY_ROLE.values())]
    names = [metric.name.removesuffix("_total") for metric in metrics]
    assert len(names) == len(set(names))
    for metric in metrics:
        assert metric.name.startswith("fleetline_")
        assert metric.means.endswith(".")
        assert not {"driver", "driver_id", "order", "order_id"} & set(metric.labels)
        assert list(metric.bounds) == sorted(set(metric.bounds))


def test_each_role_has_a_port_of_its_own():
    assert [metrics_port(role) for role in ROLES[:4]] == [8020, 8021, 8022, 8023]
    assert set(BY_ROLE) <= set(ROLES)


def test_the_page_of_metrics_is_current():
    assert metrics_page.PAGE.read_text() == metrics_page.page(), "make observe"


def test_wrong_declarations_are_refused():
    with pytest.raises(ValueError, match="end with _total"):
        gauge("x_total", "X.")
    with pytest.raises(ValueError, match="bounds"):
        histogram("x", "X.", bounds=())
