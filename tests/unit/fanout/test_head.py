"""The head of a request, read strictly: whatever comes is a head or a constant refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanout.door.head import FIELDS_MAX, HEAD_BYTES_MAX, Head, read_head
from fanout.sockets.answers import Rejected

LINE = b"GET /a?b=c HTTP/1.1"


def test_fields_are_named_in_lower_case_and_joined() -> None:
    raw = LINE + b"\r\nHost:h\r\nConnection: keep-alive \r\nconnection:\tUpgrade\r\nX-Empty:"
    assert read_head(raw) == Head(
        "/a?b=c",
        {"host": "h", "connection": "keep-alive, Upgrade", "x-empty": ""},
        may_upgrade=True,
    )
    assert not read_head(b"GET / HTTP/1.0").may_upgrade
    assert not read_head(b"HEAD / HTTP/1.1").may_upgrade


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"GET /", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET / http/1.1", 400),
        (b"GET /\xff HTTP/1.1", 400),
        (b"GET / HTTP/2.0", 501),
        (b"POST / HTTP/1.1", 405),
        (LINE + b"\r\n", 400),
        (LINE + b"\r\nHost", 400),
        (LINE + b"\r\nHost : h", 400),
        (LINE + b"\r\n folded: x", 400),
        (LINE + b"\r\nX: a\nY: b", 400),
        (LINE + b"\r\nX: \x00", 400),
        (LINE + b"\r\nContent-Length: 1", 400),
        (LINE + b"\r\nContent-Length: 0\r\nContent-Length: 0", 400),
        (LINE + b"\r\nTransfer-Encoding: chunked", 400),
        (LINE + b"\r\nX: y" * (FIELDS_MAX + 1), 431),
    ],
)
def test_refused_heads(raw: bytes, status: int) -> None:
    with pytest.raises(Rejected) as rejected:
        read_head(raw)
    assert rejected.value.problem.status == status


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map((LINE + b"\r\n").__add__)))
def test_anything_is_a_head_or_refused(raw: bytes) -> None:
    try:
        head = read_head(raw)
    except Rejected as e:
        assert e.problem.status in {400, 405, 431, 501}
        assert e.unread
    else:
        assert "\r" not in "".join(head.headers.values())
        assert len(head.target) < HEAD_BYTES_MAX
