"""The role table, cell by cell; claims, keys, revocations and addresses as plain rules."""

import pytest

from common.access.address import AddressLimiter, FrontDoors, client_address
from common.access.api_key import new_key, read_key, read_records
from common.access.claims import new_claims, read_claims
from common.access.gate import Lists
from common.access.policy import ALLOWED, Action, Principal, Role, allowed
from common.contract import ORDER_ENDED_TTL_S
from common.errors import ConfigError, Refused
from common.settings import load_settings
from common.settings.closed import listens_on_loopback, parse_secrets

DRIVER = Principal(Role.DRIVER, "d1", driver_id="d1")
TRACKER = Principal(Role.TRACKER, "o1", order_id="o1")
GATEWAY = Principal(Role.GATEWAY, "shop")
OPERATOR = Principal(Role.OPERATOR, "ann")
SECRET = "s" * 32


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("principal", [DRIVER, TRACKER, GATEWAY, OPERATOR])
def test_own_and_others(principal, action):
    mine = {"driver_id": "d1", "order_id": "o1"}
    theirs = {"driver_id": "d2", "order_id": "o2"}
    expected = {
        (Role.DRIVER, Action.SEND_FIX): (True, False),
        (Role.DRIVER, Action.READ_DRIVER): (True, False),
        (Role.GATEWAY, Action.SEND_FIX): (True, True),
        (Role.GATEWAY, Action.READ_ORDER): (True, True),
        (Role.GATEWAY, Action.WRITE_ORDER): (True, True),
        (Role.GATEWAY, Action.START_ORDER): (True, True),
        (Role.GATEWAY, Action.END_ORDER): (True, True),
        (Role.GATEWAY, Action.READ_FENCES): (True, True),
        (Role.GATEWAY, Action.WRITE_FENCES): (True, True),
        (Role.OPERATOR, Action.READ_FENCES): (True, True),
        (Role.OPERATOR, Action.WRITE_FENCES): (True, True),
        (Role.OPERATOR, Action.READ_DRIVER): (True, True),
        (Role.OPERATOR, Action.FIND_DRIVERS): (True, True),
        (Role.OPERATOR, Action.READ_ORDER): (True, True),
        (Role.OPERATOR, Action.LIST_ORDERS): (True, True),
        (Role.OPERATOR, Action.WATCH_FLEET): (True, True),
        (Role.OPERATOR, Action.READ_FLEET): (True, True),
        (Role.OPERATOR, Action.ASK_ROADS): (True, True),
        (Role.GATEWAY, Action.ASK_ROADS): (True, True),
        (Role.OPERATOR, Action.READ_HEALTH): (True, True),
        (Role.OPERATOR, Action.READ_EVENTS): (True, True),
        (Role.OPERATOR, Action.PLAN): (True, True),
        (Role.OPERATOR, Action.MANAGE_WEBHOOKS): (True, True),
        (Role.GATEWAY, Action.MANAGE_WEBHOOKS): (True, True),
        (Role.GATEWAY, Action.READ_EVENTS): (True, True),
        (Role.TRACKER, Action.READ_ORDER): (True, False),
    }.get((principal.role, action), (False, False))
    assert (allowed(principal, action, **mine), allowed(principal, action, **theirs)) == expected


def test_every_action_has_a_row_and_none_means_nobodys():
    assert set(ALLOWED) == set(Action)
    assert not allowed(DRIVER, Action.SEND_FIX)
    # A token without an order of its own owns none, not the one that is not named.
    assert not allowed(Principal(Role.TRACKER, "x"), Action.READ_ORDER, order_id=None)


def test_a_driver_is_its_subject_unless_it_says_otherwise():
    base = {"exp": 2e9, "role": "driver", "sub": "d1"}
    assert read_claims(base).driver_id == "d1"
    assert read_claims({**base, "driver_id": "d2"}).driver_id == "d2"
    assert read_claims({**base, "role": "tracker"}).order_id == "d1"
    assert read_claims({**base, "role": "operator", "driver_id": "d2"}).driver_id is None


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "admin"}, {"role": None}, {"role": ["driver"]}, {"sub": 7}, {"sub": "a b"},
        {"driver_id": ""}, {"driver_id": {"$ne": 1}}, {"iat": "now"}, {"exp": float("nan")},
        {"exp": True}, {"jti": 5}, {"sub": "x" * 300},
    ],
)  # fmt: skip
def test_odd_claims_are_unknown(changes):
    with pytest.raises(Refused) as refused:
        read_claims({"exp": 2e9, "role": "driver", "sub": "d1", **changes})
    assert refused.value.status == 401


def test_a_key_is_read_back_from_its_hash_alone():
    key_id, text, record = new_key(Role.DRIVER, "phone", "d1", 1.0)
    assert text.startswith(f"flk_{key_id}_")
    secret = text.rpartition("_")[2]
    assert secret not in record.sha256
    records = {key_id: record}
    assert read_key(text, records) == Principal(
        Role.DRIVER, f"key:{key_id}", driver_id="d1", key_id=key_id
    )
    for wrong in (text[:-1], text + "x", text.replace(key_id, "0" * 12), "flk_", "", "flk_é_x"):
        assert read_key(wrong, records) is None
    assert read_records({b"a": b"nonsense", b"\xff": b"{}"}) == {}


def test_revocations():
    early = Principal(Role.DRIVER, "d1", "d1", issued_at=10.0, token_id="t1")
    late = Principal(Role.DRIVER, "d1", "d1", issued_at=30.0, token_id="t2")
    lists = Lists(revoked={"sub:d1": 20.0})
    assert lists.is_revoked(early)
    assert not lists.is_revoked(late)
    assert Lists(revoked={"jti:t2": 40.0}).is_revoked(late)
    # A token without an id is not ended by a revocation of no id.
    assert not Lists(revoked={"jti:": 40.0}).is_revoked(Principal(Role.DRIVER, "d3", "d3"))
    assert Lists().is_revoked(Principal(Role.GATEWAY, "key:a", key_id="a"))


def test_new_claims_are_read_back():
    made = new_claims(Role.TRACKER, "o1", "fleetline", now=100.5, ttl_s=60)
    found = read_claims(made)
    assert (found.role, found.order_id, found.issued_at) == (Role.TRACKER, "o1", 100.5)
    assert found.expires_at == 160


def test_only_a_proxy_here_speaks_for_others():
    assert client_address("198.51.100.1", "203.0.113.9") == "198.51.100.1"
    assert client_address("127.0.0.1", "203.0.113.8") == "203.0.113.8"
    assert client_address("::ffff:127.0.0.1", "::ffff:203.0.113.8") == "203.0.113.8"
    assert client_address("127.0.0.1", "1.1.1.1, 203.0.113.9") == "127.0.0.1"
    assert client_address("127.0.0.1", "<script>") == "127.0.0.1"


def test_a_front_door_on_another_machine_speaks_for_others_too() -> None:
    doors = FrontDoors(("10.1.0.0/16", "fd00::/8"))
    for peer in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "127.0.0.1", ""):
        assert peer in doors
        assert client_address(peer, "203.0.113.9", doors) == "203.0.113.9"
    for peer in ("10.2.0.1", "203.0.113.1", "2001:db8::1"):
        assert peer not in doors
        assert client_address(peer, "198.51.100.9", doors) == peer
    with pytest.raises(ConfigError, match="FRONT_DOORS"):
        load_settings(front_doors="10.1.0.1/16")


def test_failures_are_counted_by_address_and_window():
    now = [0.0]
    failures = AddressLimiter(2, now=lambda: now[0])
    assert [failures.note("203.0.113.1") for _ in range(3)] == [0, 0, 60]
    assert failures.note("203.0.113.2") == 0
    assert failures.note("127.0.0.1") == failures.note("127.0.0.1") == failures.note("::1") == 0
    # Addresses of one /64 are one household's.
    assert [failures.note(f"2001:db8::{n}") for n in range(3)] == [0, 0, 60]
    now[0] = 61.0
    assert failures.note("203.0.113.1") == 0


@pytest.mark.parametrize(
    ("host", "open_to_others"),
    [
        ("127.0.0.1", False), ("127.1.2.3", False), ("::1", False), ("localhost", False),
        ("0.0.0.0", True), ("::", True), ("10.0.0.5", True), ("example.org", True), ("", True),
    ],
)  # fmt: skip
def test_what_is_loopback(host, open_to_others):
    assert listens_on_loopback(host) != open_to_others


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"bind_host": "0.0.0.0"}, "BIND_HOST: '0.0.0.0' can be reached by others"),
        ({"gateway_host": "0.0.0.0"}, "GATEWAY_HOST: "),
        ({"auth": "on"}, "AUTH_SECRET: AUTH=on needs"),
        ({"auth": "on", "auth_secret": "short"}, "AUTH_SECRET must have 32 bytes"),
        ({"auth": "on", "auth_secret": f"{SECRET},short"}, "AUTH_SECRET must have 32 bytes"),
        ({"tls_cert": "a.pem"}, "TLS_CERT and TLS_KEY"),
        ({"cors_origins": "*"}, "CORS_ORIGINS: '*' is not an origin"),
        ({"ws_origins": "*"}, "WS_ORIGINS: '*' is not an origin"),
        ({"ws_origins": "shop.example.org"}, "WS_ORIGINS: 'shop.example.org' is not an origin"),
        ({"allowed_hosts": "*"}, "ALLOWED_HOSTS: '*' is not a host"),
        # A link that outlives the marker of its order's end would work again.
        ({"tracking_token_ttl_s": ORDER_ENDED_TTL_S + 1}, "TRACKING_TOKEN_TTL_S: "),
        ({"public_url": "https://a.example/x"}, "PUBLIC_URL must be"),
    ],
)
def test_nothing_starts_half_open(settings, word):
    with pytest.raises(ConfigError) as refused:
        load_settings(**settings)
    assert str(refused.value).startswith(word)
    assert "short" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_closed_it_may_listen_anywhere_and_shows_no_secret():
    settings = load_settings(bind_host="0.0.0.0", auth="on", auth_secret=SECRET)
    assert SECRET not in repr(settings)
    assert parse_secrets(f" {SECRET} , {SECRET}2 ") == [SECRET, f"{SECRET}2"]
