"""JSON that is none: what is beside the fault is read, and nothing else is made of it."""

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.apps.tolerant import NotJson, decode_body
from tests.odd import BAD_VALUES

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MEANING = {"1e999": float("inf"), "400 digits": int("1" * 400), "+5": 5, ".5": 0.5, "05": 5,
           "3,5": 3.5, "control character": "\x01"}  # fmt: skip


def seen(value: Any) -> Any:
    """A value as a reader of another JSON library may see it: a float where it is one."""
    return json.loads(json.dumps(value), parse_int=float)


@given(VALUES, st.sampled_from(sorted(BAD_VALUES)), VALUES)
def test_one_bad_value_spares_the_others(before: Any, name: str, after: Any) -> None:
    bad = BAD_VALUES[name]
    body = b'{"a":%b,"x":%b,"b":%b}' % (dumped(before), bad, dumped(after))
    found = decode_body(body)
    assert isinstance(found, dict)
    assert (seen(found["a"]), seen(found["b"])) == (seen(before), seen(after))
    if "emoji" not in name and "surrogate" not in name:
        assert found["x"] == MEANING.get(name)


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@given(VALUES)
def test_good_json_is_what_it_says(value: Any) -> None:
    assert seen(decode_body(dumped(value))) == seen(value)
    assert seen(decode_body(b"\xef\xbb\xbf" + dumped(value) + b"\0\0")) == seen(value)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":"nan, undefined,"}\0', {"a": "nan, undefined,"}),
        (b'{"a":[1,2],"b":nan}', {"a": [1, 2], "b": None}),
        (b'{"a":[1,2,],}', {"a": [1, 2]}),
        (b'{"a":1,5,"b":-2,5}', {"a": 1.5, "b": -2.5}),
        (b'{"a":"\\"nan","b":NaN}', {"a": '"nan', "b": None}),
    ],
)
def test_what_is_mended(body: bytes, value: object) -> None:
    assert decode_body(body) == value


@pytest.mark.parametrize("body", [b"", b"{", b"a=1&b=2", b'{"a":1', b"{]}", b"[1;2]", b"\xff\xfe"])
def test_what_is_no_json_stays_none(body: bytes) -> None:
    with pytest.raises(NotJson):
        decode_body(body)


HOSTILE = {
    "open strings": b'"\\' * 524_288, "quotes": b'"' * 1_048_575, "brackets": b"[" * 1_048_576,
    "digits": b"1" * 1_048_576, "colons": b'{"a"' + b": " * 500_000, "blanks": b":" + b" " * 2**20,
    "words": b"[" + b"nan," * 262_000 + b"1]x", "escapes": b'{"' + b'\\"' * 500_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_body_takes_long(name: str) -> None:
    """Work that grew with the square of a body's size would be hours for these, not a second."""
    began = time.process_time()
    with contextlib.suppress(NotJson):
        decode_body(HOSTILE[name])
    assert time.process_time() - began < 5
