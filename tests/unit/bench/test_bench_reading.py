"""What the load generators read: responses, frames, times; and how they sum it up."""

import pytest

from bench.load.frames import PING, TEXT, Stamps, pong, split
from bench.load.generator import saturated
from bench.load.http_client import response
from bench.load.percentiles import EDGES_MS, histogram, percentile, summary

ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\ncontent-length: 4\r\n\r\n{  }"


def test_a_response_is_whole_or_not_yet():
    assert response(ANSWER) == (b"202", b"{  }")
    for end in range(len(ANSWER)):
        assert response(ANSWER[:end]) is None


def test_a_response_without_a_length_is_an_error():
    with pytest.raises(ValueError, match="no Content-Length"):
        response(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n")


def text(payload):
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


def test_frames_come_in_any_pieces():
    stream = text(b"a" * 300) + b"\x89\x02hi" + b"\x81\x01b"
    whole = [(TEXT, b"a" * 300), (PING, b"hi"), (TEXT, b"b")]
    assert split(stream) == (whole, b"")
    for cut in range(len(stream)):
        first, rest = split(stream[:cut])
        second, left = split(rest + stream[cut:])
        assert first + second == whole
        assert left == b""


def test_a_pong_is_masked():
    assert pong(b"hi") == b"\x8a\x82\0\0\0\0hi"


def test_stamps_are_epoch_seconds():
    stamps = Stamps()
    frame = b'{"data":{"recorded_at":"2026-01-01T00:00:01.250000Z","x":1}}'
    assert stamps.read(frame) == pytest.approx(1_767_225_601.25)
    assert stamps.read(frame.replace(b".250000", b"")) == 1_767_225_601
    assert stamps.read(b'{"type":"tracking_ended"}') is None


def test_percentiles_are_samples_by_nearest_rank():
    ordered = [float(n) for n in range(1, 101)]
    assert percentile(ordered, 0.5) == 50
    assert percentile(ordered, 0.99) == 99
    assert percentile(ordered, 0.999) == 100
    assert percentile([7.0], 0.5) == 7
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)


def test_a_summary_needs_no_order():
    found = summary([3.0, 1.0, 2.0])
    assert found["p50"] == 2
    assert found["max"] == 3
    assert found["count"] == 3
    assert summary([]) == {}


def test_every_sample_is_in_a_bin():
    bins = histogram([0.0, 1.0, 1.05, 1e9])
    assert sum(bins) == 4
    assert bins[0] == 1
    assert bins[-1] == 1
    assert bins[EDGES_MS.index(1.0)] == 2


def test_a_generator_at_its_end_says_so():
    # A closed loop is limited by whoever is slower: at a whole core it was the generator.
    assert "saturated" in saturated(0, 20_000, 0.97)
    assert saturated(0, 15_000, 0.5) == ""
    # An open loop that keeps its rate is fine however busy it is.
    assert saturated(2000, 2000, 0.97) == ""
    assert "saturated" in saturated(2000, 1500, 0.97)
    # A rate that was not reached with time to spare is the service's doing.
    assert saturated(2000, 1500, 0.4) == ""
