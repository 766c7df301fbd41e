"""What a handshake asks for: paths, origins, addresses; and the waves of a drain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidUpdate
from common.problem import ORIGIN_NOT_ALLOWED
from common.settings.lists import parse_origins
from fanout.door.browser_rule import BrowserRule
from fanout.door.request import (
    OrderTarget,
    PageTarget,
    client_address,
    read_key,
    read_target,
    split_target,
    wants_upgrade,
)
from fanout.sockets.answers import Rejected
from fanout.sockets.drain import WAVE_LEAST, plan_waves


def test_targets() -> None:
    path = "/api/v1/drivers/orders/o%3A1/driver-location"
    assert read_target(path, {}) == OrderTarget("o:1")
    assert read_target("/health/live", {}) == PageTarget("/health/live")
    assert read_target("/health", {}) is None


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a?token=x&token=y&n=", "/a", {"token": "y", "n": ""}),
        # Regression: what follows two slashes was taken for a host.
        ("//api/v1/fleet/live", "/api/v1/fleet/live", {}),
        ("/api/v1/fleet/live/?n=1", "/api/v1/fleet/live", {"n": "1"}),
        # Regression: many parameters that mean nothing made an address none.
        (f"/a?n=1&{'&'.join(['x=2'] * 20)}&n=3", "/a", {"n": "1", "x": "2"}),
        ("http://h:1/a/?n=1", "/a", {"n": "1"}),
        ("http://h:1", "/", {}),
        ("*", "/*", {}),
    ],
)
def test_target_is_split(target: str, path: str, query: dict[str, str]) -> None:
    assert split_target(target) == (path, query)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=200))
def test_any_target_is_read_or_refused(text: str) -> None:
    try:
        path, query = split_target(f"/api/v1/drivers/orders/{text}/driver-location")
        target = read_target(path, query)
    except InvalidUpdate as e:
        assert e.status == 422
    else:
        assert target is None or isinstance(target, OrderTarget)


@pytest.mark.parametrize(
    ("origin", "listed", "allowed"),
    [
        (None, "", True),
        ("http://h:1", "", True),
        ("https://H:1", "", True),
        ("http://h:2", "", False),
        ("http://evil", "", False),
        ("null", "", False),
        ("", "", False),
        ("http://[", "", False),
        ("https://a.example", "https://a.example, https://b.example/", True),
        ("https://b.example", "https://a.example, https://b.example/", True),
        ("http://h:1", "https://a.example", False),
        ("capacitor://localhost", "capacitor://localhost", True),
    ],
)
def test_origins(origin: str | None, listed: str, *, allowed: bool) -> None:
    headers = {"host": "h:1"} | ({} if origin is None else {"origin": origin})
    rule = BrowserRule(parse_origins("WS_ORIGINS", listed), None)
    rule.require_local({"host": "anything"})
    if allowed:
        rule.require_origin(headers)
        return
    with pytest.raises(Rejected) as rejected:
        rule.require_origin(headers)
    assert rejected.value.problem is ORIGIN_NOT_ALLOWED


def test_only_a_local_proxy_speaks_for_another_address() -> None:
    named = {"x-real-ip": "203.0.113.9"}
    assert client_address("198.51.100.1", named) == "198.51.100.1"
    assert client_address("127.0.0.1", named) == "203.0.113.9"
    assert client_address("::1", {"x-forwarded-for": "203.0.113.7"}) == "::1"
    assert client_address("127.0.0.1", {"x-real-ip": "nonsense"}) == "127.0.0.1"
    assert client_address("127.0.0.1", {}) == "127.0.0.1"


def test_upgrade_is_a_token_of_a_list() -> None:
    assert wants_upgrade({"connection": "keep-alive, Upgrade", "upgrade": "WebSocket"})
    assert not wants_upgrade({"connection": "close", "upgrade": "websocket"})
    assert not wants_upgrade({"connection": "upgrade", "upgrade": "h2c"})
    assert not wants_upgrade({})


def test_key_is_sixteen_bytes() -> None:
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    assert read_key({"sec-websocket-key": key}) == key
    for wrong in ("", "short", key[:-4], key + "AAAA", key.replace("=", "é"), f"{key}, {key}"):
        with pytest.raises(InvalidUpdate):
            read_key({"sec-websocket-key": wrong})


@given(st.integers(0, 30_000), st.floats(0.1, 60))
def test_waves_fit_the_window_and_reach_everybody(count: int, window_s: float) -> None:
    waves = list(plan_waves(range(count), window_s))
    assert [item for wave in waves for item in wave] == list(range(count))
    assert len(waves) <= max(1, int(window_s / 0.1))
    assert all(len(wave) >= WAVE_LEAST for wave in waves[:-1])
