"""Which addresses and URLs are public: nothing of this machine, its networks or its cloud is."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.webhooks.address import is_public
from common.webhooks.limits import URL_CHARS_MAX
from common.webhooks.url import fault_of

CLOSED = [
    *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.1.2", "10.0.0.1", "172.16.0.1", "172.31.9.9"),
    *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16"),
    *("192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%lo", "2606:4700::1%eth0", "fc00::1", "fd00:ec2::254"),
    *("fec0::1", "ff02::1", "100::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "3fff::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "::ffff:0:127.0.0.1", "4000::1"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1"),
    *("2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]


@pytest.mark.parametrize("text", CLOSED)
def test_what_is_not_public(text):
    assert not is_public(text)


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public(text):
    assert is_public(text)


@given(st.ip_addresses())
def test_python_knows_no_address_that_is_closed_and_ours_that_is_not(address):
    inner = getattr(address, "ipv4_mapped", None) or address
    if is_public(str(address)) and not str(address).startswith("64:ff9b::"):
        assert inner.is_global
        assert not inner.is_multicast


@given(st.text(max_size=30))
def test_what_is_no_address_is_not_public(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        assert not is_public(text)


@pytest.mark.parametrize(
    "url",
    [
        *("https://shop.example/hook", "http://shop.example", "https://shop.example:8443/a?b=c"),
        *("https://1.1.1.1/x", "https://[2606:4700::1111]/x", "https://xn--bcher-kva.example/"),
    ],
)
def test_urls_that_are_taken(url):
    assert fault_of(url, private=False) is None


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://shop.example", "//shop.example", "shop.example", "https://", "https:///x"),
        *("https://user:word@shop.example", "https://shop.example/#a", "https://shop.example:0/"),
        *("https://shop.example:99999/", "https://sh op.example/", "https://shop.example/\r\nX: y"),
        *("https://büch.example/", "https://[::1", "https://shop.example/" + "x" * URL_CHARS_MAX),
        *("file:///etc/passwd", "https://shop.example\\@10.0.0.1/", "javascript:alert(1)"),
    ],
)
def test_urls_that_are_none(url):
    assert fault_of(url, private=True) is not None


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "[::1]", "localhost", "LOCALHOST.", "a.localhost", "metadata.internal"),
        *("printer.local", "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "10.0.0.1.", "."),
        *("[::ffff:127.0.0.1]", "169.254.169.254", "[fe80::1%25eth0]", "0", "0x7f.1"),
    ],
)
def test_urls_that_lead_here_are_for_closed_networks_alone(host):
    assert fault_of(f"http://{host}/x", private=False) is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "receiver.internal"])
def test_urls_that_lead_here_are_taken_where_that_is_wanted(host):
    assert fault_of(f"http://{host}:9000/x", private=True) is None
