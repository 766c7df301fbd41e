"""What may name a driver or an order. Pure, and on the hot path."""

import re

from common.errors import Fault, InvalidUpdate

# `.` and `..` are steps in a path: clients and proxies take them out of an address before they
# send it, so nothing of that name could be asked for.
ID_PATTERN = r"^(?!\.{1,2}\Z)[A-Za-z0-9._:\-]{1,64}\Z"
ID_TEXT = "1-64 of A-Z a-z 0-9 . _ : -, but not . or .."
ID_DETAIL = f"must be {ID_TEXT}"


def is_id(text: str) -> bool:
    """Whether `text` may name a driver or an order."""
    return _matches(text) is not None and text not in _RESERVED


def require_id(field: str, text: str) -> None:
    """Raise `InvalidUpdate` unless `text` may name a driver or an order."""
    if not is_id(text):
        raise InvalidUpdate(f"{field}: {ID_DETAIL}", faults=(Fault(field, ID_DETAIL),))


_RESERVED = (".", "..")
# Without the two above in it: half of the time.
_matches = re.compile(r"[A-Za-z0-9._:\-]{1,64}").fullmatch
