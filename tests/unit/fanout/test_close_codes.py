"""The close-code table keeps what clients are promised."""

from pathlib import Path

from fanout.sockets import close_codes
from fanout.sockets.close_codes import CLOSES, Close, may_be_received


def test_table_is_the_one_of_the_api() -> None:
    promised = {1001: True, 1008: False, 1009: False, 1013: True, 4000: False, 4003: False}
    table = {close.code: close.reconnect for close in CLOSES}
    assert promised.items() <= table.items()


def test_every_row_is_listed_sent_and_fits_a_control_frame() -> None:
    """Regression: 1013 was promised and listed, and nothing ever sent it."""
    rows = {name: row for name, row in vars(close_codes).items() if isinstance(row, Close)}
    assert set(rows.values()) == set(CLOSES)
    assert all(len(row.reason.encode()) <= 123 for row in CLOSES)
    table = Path(close_codes.__file__)
    others = "".join(p.read_text() for p in table.parents[1].rglob("*.py") if p != table)
    assert [name for name in rows if f"({name})" not in others] == []


def test_codes_from_4000_on_never_ask_to_reconnect() -> None:
    assert not any(close.reconnect for close in CLOSES if close.code >= 4000)


def test_what_a_client_may_send() -> None:
    for code in (1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999):
        assert may_be_received(code)
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535):
        assert not may_be_received(code)
