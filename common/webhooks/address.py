"""Which addresses are the public internet's. Pure.

The rule for what the sender may connect to. It names what is *not* public by the IANA registries
of special-purpose addresses and takes an IPv6 address only where the registry has handed it out,
so that what is new or odd is refused. An address that holds an IPv4 address is judged by that.
https://www.iana.org/assignments/iana-ipv4-special-registry
https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_CLOSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux takes 0.0.0.0 for itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT; a cloud's metadata too
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's host, from inside its machines
        "169.254.0.0/16",  # link-local: metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# All that is handed out; loopback, link-local, ULA, multicast and the rest lie outside.
_GLOBAL_V6 = IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo and benchmarks among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside, by way of a relay
        "3fff::/20",  # documentation
    )
)
# NAT64's well-known prefix: how a network without IPv4 reaches a public IPv4 address.
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether a numeric address is one of the public internet; False for what is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return _is_public_v4(address)
    if address.ipv4_mapped is not None:
        return _is_public_v4(address.ipv4_mapped)
    if address in _NAT64:
        return _is_public_v4(IPv4Address(int(address) & 0xFFFF_FFFF))
    return _is_public_v6(address)


def _is_public_v4(address: IPv4Address) -> bool:
    return not any(address in network for network in _CLOSED_V4)


def _is_public_v6(address: IPv6Address) -> bool:
    # An interface in the text (fe80::1%eth0) means this machine's own networks.
    if address.scope_id is not None or address not in _GLOBAL_V6:
        return False
    return not any(address in network for network in _CLOSED_V6)
