"""What may name a driver or an order. Pure, and on the hot path."""

from common.errors import Fault, InvalidUpdate

# `.` and `..` are steps in a path: clients and proxies take them out of an address before they
# send it, so nothing of that name could be asked for.
ID_PATTERN = r"^(?!\.{1,2}\Z)[A-Za-z0-9._:\-]{1,64}\Z"
ID_TEXT = "1-64 of A-Z a-z 0-9 . _ : -, but not . or .."
ID_DETAIL = f"must be {ID_TEXT}"


def is_id(text: str) -> bool:
    """Whether `text` may name a driver or an order."""
    return (
        0 < len(text) <= 64
        and text.isascii()
        and text.translate(_ID_DELETE) == ""
        and text not in _ID_RESERVED
    )


def require_id(field: str, text: str) -> None:
    """Raise `InvalidUpdate` unless `text` may name a driver or an order."""
    if not is_id(text):
        raise InvalidUpdate(f"{field}: {ID_DETAIL}", faults=(Fault(field, ID_DETAIL),))


_ID_RESERVED = (".", "..")
_ID_DELETE = str.maketrans(
    "", "", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"
)
