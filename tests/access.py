"""Credentials for tests: one secret, and tokens of every role, good and bad."""

import time
from typing import Any

import jwt

from common.access.claims import new_claims
from common.access.policy import Role

SECRET = "tests-" + "s" * 32
OLD_SECRET = "older-" + "o" * 32
# Longer than any run of all tests: many tokens are made when tests are collected. They ended after
# ten minutes, and what came later was refused.
TTL_S = 6 * 3600
AUTH = {"AUTH": "on", "AUTH_SECRET": f"{SECRET},{OLD_SECRET}"}


def claims(role: str = "driver", subject: str = "d1", **changes: Any) -> dict[str, Any]:
    """Claims of a good token; a change to None removes one."""
    found = new_claims(Role.DRIVER, subject, "fleetline", now=time.time(), ttl_s=TTL_S)
    found |= {"role": role, **changes}
    return {name: value for name, value in found.items() if value is not None}


def token(role: str = "driver", subject: str = "d1", **changes: Any) -> str:
    """A token; by default good for hours."""
    return jwt.encode(claims(role, subject, **changes), SECRET, algorithm="HS256")


def bearer(text: str) -> dict[str, str]:
    """The header that carries it."""
    return {"Authorization": f"Bearer {text}"}
