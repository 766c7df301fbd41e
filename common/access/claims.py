"""From a verified token's claims to who it is, and the claims of tokens made here. Pure.

`role` says what the bearer is. `sub` names it; a driver's `driver_id` and a tracker's `order_id`
default to it, so that an identity provider needs one extra claim at most.
"""

import math
import secrets
from collections.abc import Mapping
from typing import Any

from common.access.policy import Principal, Role
from common.errors import Refused
from common.ids import is_id

REQUIRED = ("exp", "aud", "sub", "role")
# The one answer to any credential that is not good: it does not help in making a better one.
UNKNOWN = "a valid token or key is needed"


def unknown() -> Refused:
    """The refusal of a credential."""
    return Refused(401, UNKNOWN, headers=(("www-authenticate", "Bearer"),))


def read_claims(claims: Mapping[str, Any]) -> Principal:
    """Who the claims name. Their signature, `exp` and `aud` have been checked. Raises `Refused`."""
    subject = _text(claims.get("sub"))
    try:
        role = Role(_text(claims.get("role")))
    except ValueError as e:
        raise unknown() from e
    driver_id = order_id = None
    if role is Role.DRIVER:
        driver_id = _id(claims.get("driver_id", subject))
    if role is Role.TRACKER:
        order_id = _id(claims.get("order_id", subject))
    return Principal(
        role=role,
        subject=subject,
        driver_id=driver_id,
        order_id=order_id,
        expires_at=_number(claims["exp"]),
        issued_at=_number(claims.get("iat", 0)),
        token_id=_text(claims.get("jti", "")),
    )


def new_claims(
    role: Role, subject: str, audience: str, *, now: float, ttl_s: float
) -> dict[str, object]:
    """Claims of a token made here; `iat` is exact, since revocations compare with it."""
    return {
        "role": role.value,
        "sub": subject,
        "aud": audience,
        "iat": round(now, 3),
        "exp": math.floor(now + ttl_s),
        "jti": secrets.token_hex(8),
    }


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 256:
        raise unknown()
    return value


def _id(value: object) -> str:
    text = _text(value)
    if not is_id(text):
        raise unknown()
    return text


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise unknown()
    try:
        number = float(value)
    except OverflowError as e:
        # JSON's whole numbers have no end.
        raise unknown() from e
    if not math.isfinite(number):
        raise unknown()
    return number
