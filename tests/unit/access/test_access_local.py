"""Origins, and what AUTH=off takes from a browser."""

import pytest

from common.access.local_rule import LocalRule
from common.access.origin import is_same_host
from common.problem import CROSS_SITE, HOST_NOT_ALLOWED
from common.settings.lists import parse_hosts, parse_origins

GOOD = [
    ("https://a.example", "https://a.example"),
    ("https://a.example/", "https://a.example"),
    ("HTTPS://A.Example:443", "https://a.example"),
    ("http://a.example:80", "http://a.example"),
    ("http://a.example:8080", "http://a.example:8080"),
    ("http://[::1]:9000", "http://[::1]:9000"),
    ("http://localhost:3000", "http://localhost:3000"),
    ("capacitor://localhost", "capacitor://localhost"),
    ("ionic://localhost", "ionic://localhost"),
    ("tauri://localhost", "tauri://localhost"),
]
BAD = [
    "*", "null", "shop.example.org", "https://", "https://*.example", "https://a.example/x",
    "https://a.example?x", "https://u@a.example", "https://a.example:0", "https://a.example:70000",
    "https://a.example:x", "//a.example", "file://localhost", "http://a..", "http://[::1",
    "https://a.example b", "javascript://a",
]  # fmt: skip


@pytest.mark.parametrize(("text", "origin"), GOOD)
def test_an_origin_is_spelled_as_browsers_do(text, origin):
    assert parse_origins("X", text) == [origin]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_origin_names_its_setting(text):
    """WS_ORIGINS=* was accepted and then matched nobody."""
    with pytest.raises(ValueError, match="WS_ORIGINS"):
        parse_origins("WS_ORIGINS", text)


def test_several_origins():
    setting = " https://a.example , capacitor://localhost,, "
    assert parse_origins("X", setting) == ["https://a.example", "capacitor://localhost"]
    assert parse_origins("X", "") == []


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://h:1", "h:1", True),
        ("https://H:1", "h:1", True),
        ("http://h", "h", True),
        ("http://h:2", "h:1", False),
        ("http://h.evil", "h", False),
        ("capacitor://h", "h", False),
        ("null", "null", False),
        ("", "", False),
        ("http://", "", False),
    ],
)
def test_the_same_host(origin, host, same):
    assert is_same_host(origin, host) is same


LOCAL = [
    "127.0.0.1", "127.0.0.1:8002", "127.9.9.9:1", "localhost", "LocalHost:8002", "localhost.",
    "[::1]", "[::1]:8002", "",
]  # fmt: skip
FOREIGN = [
    "evil.example", "evil.example:8002", "localhost.evil.example", "127.0.0.1.evil.example",
    "192.168.1.7", "0.0.0.0:8002", "[::2]:8002", "[fe80::1]", "[", "x localhost", "10.0.2.2:8002",
]  # fmt: skip


@pytest.mark.parametrize("host", LOCAL)
def test_names_of_this_machine(host):
    assert LocalRule().problem(host, None, None) is None


@pytest.mark.parametrize("host", FOREIGN)
def test_other_names_are_those_of_a_rebound_page(host):
    assert LocalRule().problem(host, None, None) is HOST_NOT_ALLOWED
    assert LocalRule().problem(host, f"http://{host}", "same-origin") is HOST_NOT_ALLOWED


def test_a_setting_names_further_hosts():
    rule = LocalRule(parse_hosts("ALLOWED_HOSTS", "10.0.2.2, My.Tunnel.example,[fd00::5]"))
    for host in ("10.0.2.2:8002", "my.tunnel.example", "MY.tunnel.example:1", "[fd00::5]:8002"):
        assert rule.problem(host, None, None) is None
    assert rule.problem("sub.my.tunnel.example", None, None) is HOST_NOT_ALLOWED


@pytest.mark.parametrize("setting", ["*", "a b", "http://a", "a:80", "-", "a/b"])
def test_a_host_that_is_none_is_refused(setting):
    with pytest.raises(ValueError, match="ALLOWED_HOSTS"):
        parse_hosts("ALLOWED_HOSTS", setting)


OURS = "127.0.0.1:8002"
LISTED = "capacitor://localhost"


@pytest.mark.parametrize(
    ("origin", "fetch_site", "taken"),
    [
        (None, None, True),
        (None, "none", True),
        (None, "same-origin", True),
        (f"http://{OURS}", "same-origin", True),
        (f"http://{OURS}", None, True),
        (LISTED, "cross-site", True),
        (LISTED, None, True),
        (None, "cross-site", False),
        (None, "same-site", False),
        (None, "anything", False),
        ("http://127.0.0.1:3000", "same-site", False),
        ("http://127.0.0.1:3000", None, False),
        ("https://evil.example", "cross-site", False),
        ("https://evil.example", None, False),
        (f"http://{OURS}", "cross-site", False),
        ("null", None, False),
        ("null", "cross-site", False),
        ("", None, False),
    ],
)
def test_only_its_own_pages_may_ask(origin, fetch_site, taken):
    rule = LocalRule(origins=[LISTED])
    assert rule.problem(OURS, origin, fetch_site) is (None if taken else CROSS_SITE)
