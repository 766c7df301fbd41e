"""Measuring with and without: the pairs, roles that do not count, and the taker of webhooks."""

import array
import json
import time
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import uncounted
from bench.load.hook_taker import HookTaker
from bench.scenarios.beside.pairs import added, median_of, ratio, turns
from bench.uncounted.edits import EDITS, edited


@given(st.integers(1, 40))
def test_turns_are_balanced_and_hit_both_alike(pairs):
    order = list(turns(pairs))
    assert len(order) == 2 * pairs
    for first in range(0, 2 * pairs, 2):
        assert sorted(order[first : first + 2]) == [False, True]
    # A machine that slows down steadily favours neither, over every second pair.
    places = {side: sum(n for n, s in enumerate(order) if s is side) for side in (False, True)}
    assert abs(places[True] - places[False]) <= 1


def test_pairs_are_compared_each_by_itself():
    # The machine was twice as slow in the second half.
    slow = [{False: a, True: a * 1.1} for a in (1.0, 1.0, 2.0, 2.0)]
    assert ratio(slow).median == pytest.approx(1.1)
    assert added([{False: 1.0, True: 2.0}, {False: 5.0, True: 6.0}, {False: 3.0, True: 9.0}]) == (
        *(1.0, 1.0, 3.5),
    )
    assert ratio([{False: 2.0, True: 3.0}]) == (1.5, 1.5, 1.5)
    assert median_of(slow, True) == 1.65


@pytest.mark.parametrize("name", EDITS)
def test_the_lines_that_count_are_where_they_are_taken_out(name):
    text = Path(find_spec(name).origin).read_text()
    without = edited(name, text)
    compile(without, name, "exec")
    assert len(without.splitlines()) == len(text.splitlines())
    with pytest.raises(ImportError, match="stands there 0 times"):
        edited(name, without)


def test_a_process_is_told_to_load_them_so():
    folder, project = uncounted.environment()["PYTHONPATH"].split(":")
    assert (Path(folder) / "sitecustomize.py").is_file()
    assert (Path(project) / "bench").is_dir()


class Sent:
    """Stands in for a connection."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data


@given(st.lists(st.integers(1, 60)))
def test_webhooks_are_taken_however_they_are_cut(cuts):
    when = datetime.now(UTC) - timedelta(seconds=3)
    body = json.dumps({"recorded_at": when.isoformat().replace("+00:00", "Z")}).encode()
    post = b"POST /hook HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    data, ages, sent = post * 3, array.array("d"), Sent()
    taker = HookTaker(ages)
    taker.connection_made(sent)
    for cut in [*cuts, len(data)]:
        taker.data_received(data[:cut])
        data = data[cut:]
    assert sent.data.count(b"204") == len(ages) == 3
    assert all(2999 < age < 3001 + (time.time() - when.timestamp()) * 1000 for age in ages)
