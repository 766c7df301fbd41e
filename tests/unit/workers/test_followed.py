"""Following one fix: every stage chooses the same ones, and their lines are put together again."""

import asyncio
import io
import itertools
import logging
from datetime import UTC, datetime, timedelta

import hiredis
import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from common import log, trace
from common.event import LocationUpdate, encode_event
from common.metrics.names.consumers import LIVE_AGE
from common.trace import Stage, Tracing, trace_id
from consumers.page_trace import PageTrace
from consumers.stage_watch import AGES_A_PAGE, StageWatch
from consumers.stream.entry import Entry, decode_page
from deploy.observe.followed import followed_fixes
from fanout.orders.bridge import Bridge
from fanout.orders.frame_counts import LOOK_MASK, FrameCounts, age_of
from fanout.orders.hub import Hub
from ingest.intake.writer.gathering import Pack, Question, Turn
from ingest.intake.writer.turn_trace import note_turn

T0 = datetime(2026, 1, 1, 10, tzinfo=UTC)


def event(number=0, driver="d1", altitude=None):
    update = LocationUpdate(latitude=53.4, longitude=-2.9, altitude=altitude)
    return encode_event(driver, update, T0, T0 + timedelta(milliseconds=number))


@pytest.fixture
def lines(monkeypatch):
    """What is logged, as bytes a line."""
    text = io.StringIO()
    log.configure("test", "info", "json")
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(text))
    yield lambda: text.getvalue().encode().splitlines()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.shutdown()


def test_one_of_many_is_followed_and_all_stages_choose_the_same():
    events = [event(n) for n in range(20_000)]
    chosen = [x for x in events if Tracing(100).picks(x)]
    assert 120 < len(chosen) < 280
    assert chosen == [x for x in events if Tracing(100).picks(bytes(bytearray(x)))]
    assert not Tracing(0).on


def test_the_way_of_a_fix_is_put_together(lines, monkeypatch):
    moments = (
        (T0 + timedelta(milliseconds=n)).isoformat().replace("+00:00", "Z")
        for n in itertools.count(5, 5)
    )
    monkeypatch.setattr(trace, "now", lambda: next(moments))
    monkeypatch.setattr("consumers.page_trace.now", lambda: next(moments))
    tracing, events = Tracing(1), [event(0), event(1, driver="d2")]
    turn = Turn([Pack(3, events, [])], [])
    note_turn(tracing, turn, [b"17-0", 2])
    page = decode_page([Entry(b"17-0", b"\n".join(events))]).events
    for stage in (Stage.SHOWN, Stage.STORED):
        watch = StageWatch(LIVE_AGE, PageTrace(tracing, stage, 3))
        watch.read()
        watch.done(page)
    hub = Hub({}, tracing=tracing)
    channel = hub.join("o", Watcher(), 0.0)
    channel.refresh(None, ended=False, oldest=T0)
    channel.deliver(events[1])
    # Shown once, and nobody is live yet: neither leaves a line.
    channel.deliver(events[1])
    hub.join("other", Watcher(), 0.0).deliver(events[0])
    found = followed_fixes([b"", b"\xff", *lines(), b'{"event": "trace", "trace":', b"[1]"])
    assert [(fix.driver, fix.ids) for fix in found] == [("d1", {"3-17-0-0"}), ("d2", {"3-17-0-1"})]
    assert [step for step, _ in found[0].steps()] == [
        *("received", "on disk", "read (live)", "shown", "read (history)", "stored")
    ]
    assert [ms for _, ms in found[0].steps()] == [0, 5, 15, 20, 30, 35]
    assert dict(found[1].steps())["sent"] == 44
    assert found[1].is_called("3-17-0-1")
    assert found[1].is_called("d2")
    assert found[1].is_called(trace_id(events[1]))
    assert not found[1].is_called("d1")


def test_what_redis_refused_is_not_on_disk(lines):
    refused = hiredis.ReplyError("OOM")
    asked = Question(None, 0, 1, 2, ("EVALSHA", "x", event(2), event(3)))
    lost = Question(None, 0, 1, 1, ("EVALSHA", "x", event(4)))
    turn = Turn([Pack(0, [event(0)], []), Pack(0, [event(1)], [])], [asked, lost])
    note_turn(Tracing(1), turn, [refused, 1, b"5-0", 1, [1, 0, 0, b"6-0"], refused])
    assert [orjson.loads(line)["id"] for line in lines()] == ["0-5-0", "1-6-0"]


@given(st.lists(st.floats(0, 10), max_size=50))
def test_ages_stand_for_all_events_of_a_page(ages):
    now = T0 + timedelta(seconds=100)
    payloads = [
        encode_event("d", LocationUpdate(latitude=1, longitude=2), T0, now - timedelta(seconds=age))
        for age in ages
    ]
    events = decode_page([Entry(b"1-%d" % n, x) for n, x in enumerate(payloads)]).events
    watch = StageWatch(LIVE_AGE)
    watch.count(events, now)
    assert watch.fixes == sum(watch.ages.counts) == len(ages)
    if ages:
        assert min(ages) - 1e-3 <= watch.ages.total / len(ages) <= max(ages) + 1e-3
    if 0 < len(ages) <= AGES_A_PAGE:
        assert watch.ages.total == pytest.approx(sum(ages), abs=1e-3)


def test_the_age_of_a_frame_is_read_from_its_bytes():
    now = T0 + timedelta(seconds=1)
    assert age_of(event(250), now) == 0.75
    assert age_of(event(0, altitude=7.5), now) == 1.0
    assert age_of(event(5000), now) == 0.0
    cut = b'"received_at":"2026-01-01T10:00:00"'
    for rubbish in (b"", b"{}", b'{"received_at":"', cut, b"\xff"):
        assert age_of(rubbish, now) is None


def test_some_messages_are_dated_after_their_delivery():
    shown, delivered = FrameCounts(), []

    async def receive():
        bridge = Bridge({b"c": delivered.append}, shown.look)
        for number in range(3 * (LOOK_MASK + 1)):
            parts = [b"message", b"c", event(number)]
            bulk = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
            bridge.data_received(b"*3\r\n" + bulk)

    asyncio.run(receive())
    assert len(delivered) == 3 * (LOOK_MASK + 1)
    assert sum(shown.ages.counts) == 3


class Watcher:
    """Takes what it is offered."""

    def offer_beside(self, frame):
        """An arrival."""

    def offer(self, frame):
        pass

    def end(self, frame):
        pass

    def postpone(self):
        pass
