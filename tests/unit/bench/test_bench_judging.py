"""Accounts, aims, tables: what a run's figures become."""

import os

import pytest

from bench.accounting import Machine, family, others_share, parse_stat, per_fix_us
from bench.load.generator import Report
from bench.report.aims import AIMS, judge
from bench.report.readme import BEGIN, END, put
from bench.report.result import Figure, Outcome
from bench.report.summary import summary
from bench.report.table import aims, figures, number
from bench.scenarios.sustained import trouble


def figure(key, value, **more):
    return Figure(key, key, value, "fixes/s", **more)


def test_an_account_reads_a_name_with_spaces_and_parentheses():
    line = "7 (a) b (c) S 3 7 7 0 -1 0 0 0 0 0 150 50 30 20 20 0 1 0 100 1000 5 0"
    account = parse_stat(line)
    ticks = os.sysconf("SC_CLK_TCK")
    assert account.parent == 3
    assert account.own_s == 200 / ticks
    assert account.reaped_s == 50 / ticks
    assert account.rss_bytes == 5 * os.sysconf("SC_PAGE_SIZE")


def test_a_family_is_everything_below():
    stat = "1 (x) S {} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"
    known = {
        pid: parse_stat(stat.format(parent)) for pid, parent in {2: 1, 3: 2, 4: 3, 5: 1}.items()
    }
    assert family(2, known) == {2, 3, 4}
    assert family(9, known) == set()


def test_cost_is_by_role_and_leaves_out_the_idle():
    found = per_fix_us({"redis": 1.0, "ingest": 1.0}, {"redis": 1.5, "ingest": 1.0}, 100_000)
    assert found == {"redis": 5.0}
    assert per_fix_us({}, {"redis": 1.0}, 0) == {}


def test_others_share_is_what_was_not_ours():
    assert others_share(Machine(10, 5, 0), Machine(18, 9, 10), 2) == 0.2
    assert others_share(Machine(10, 5, 0), Machine(10, 9, 10), 2) == 0


def test_aims_are_met_missed_or_not_measured():
    found = {
        "ingest_many.100": figure("ingest_many.100", 130_000.0),
        "drain.1": figure("drain.1", 30_000.0),
        "drain.plain": figure("drain.plain", 500.0),
    }
    verdicts = {v.aim.label: v for v in judge(found)}
    assert len(verdicts) == len(AIMS)
    assert verdicts["POST many, 100 a body"].met is True
    assert verdicts["drain, one consumer"].met is False
    assert verdicts["drain ÷ plain worker"].value == 60
    assert verdicts["fan-out"].met is None
    table = aims(list(verdicts.values()))
    assert "| POST many, 100 a body | ≥ 120,000 fixes/s | 130,000 fixes/s | met |" in table
    assert "| drain, one consumer | ≥ 80,000 fixes/s | 30,000 fixes/s | **missed** |" in table


def test_a_table_shows_costs_by_role():
    one = figure(
        "k",
        1234.5,
        latency_ms={"p50": 1.0, "p99": 22.22, "p999": 333.3},
        cpu_us={"redis": 9.0, "ingest": 60.0, "fanout": 0.01},
        notes=("a | b",),
    )
    text = figures([Outcome("s", 1.0, [one])])
    row = "| k | 1,234 fixes/s | 1.00 / 22.2 / 333 | **69.0** (ingest 60.0, redis 9.00) | a / b |"
    assert row in text.splitlines()


@pytest.mark.parametrize(
    ("value", "shown"), [(1.234, "1.23"), (12.34, "12.3"), (12345.6, "12,346")]
)
def test_numbers_have_three_digits_that_matter(value, shown):
    assert number(value) == shown


def test_the_readme_gets_one_block():
    once = put("# F\n\ntext\n", "one")
    assert once == f"# F\n\ntext\n\n## Benchmarks\n\n{BEGIN}\none\n{END}\n"
    assert put(once, "two") == once.replace("one", "two")


def test_the_readme_compares_what_was_measured():
    found = {
        "drain.1": Figure("drain.1", "drain", 80_000, "fixes/s"),
        "drain.plain": Figure("drain.plain", "plain worker", 2_000, "fixes/s"),
        "drain.copy": Figure("drain.copy", "bare COPY", 300_000, "fixes/s"),
    }
    text = summary("here", found, judge(found))
    assert "| **80,000 fixes/s** | 2,000 fixes/s | 300,000 fixes/s (bare COPY) |" in text
    assert "fan-out" not in text
    assert "1 of 3 aims were met" in text


def report(**changes):
    values = {
        "seconds": 10, "requests": 10, "fixes_sent": 10, "fixes_accepted": 10, "fixes_rejected": 0,
        "fixes_unknown": 0, "fixes_first_order": 0, "statuses": {"202": 10}, "requests_per_s": 1000,
        "fixes_per_s": 1000, "latency_ms": {}, "histogram": [], "cpu_share": 0.1,
        "late_ms_max": 0, "saturated": "",
    }  # fmt: skip
    return Report(**{**values, **changes})


def test_a_rate_is_sustained_or_there_is_a_reason():
    steady = [300] * 40
    assert trouble(1000, report(), steady) == ""
    assert "503" in trouble(1000, report(statuses={"202": 9, "503": 1}), steady)
    assert "only 900" in trouble(1000, report(fixes_per_s=900), steady)
    assert "backlog" in trouble(1000, report(), [n * 100 for n in range(40)])
    # What waits for its batch is no backlog.
    assert trouble(1000, report(), [0] * 10 + [800] * 30) == ""
