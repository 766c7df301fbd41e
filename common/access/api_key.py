"""API keys of backends: `flk_<id>_<secret>`. Pure.

The prefix lets scanners of leaked secrets find them; the id finds the record, and only the
SHA-256 of the secret is kept. 256 random bits need no slow hash: there is nothing to guess.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

import msgspec

from common.access.policy import Principal, Role
from common.event import MALFORMED

PREFIX = "flk_"
# Keys in one Redis: every process holds them all in memory.
KEYS_MAX = 1_000
_FORM = re.compile(r"flk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)


class KeyRecord(msgspec.Struct, frozen=True):
    """What is kept of a key. Times are epoch seconds."""

    role: Role
    name: str
    sha256: str
    created_at: float
    driver_id: str | None = None


_decode = msgspec.json.Decoder(KeyRecord).decode
encode_record = msgspec.json.Encoder().encode


def new_key(role: Role, name: str, driver_id: str | None, now: float) -> tuple[str, str, KeyRecord]:
    """A new key: its id, its text (to be shown once), and what is kept of it."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return (
        key_id,
        f"{PREFIX}{key_id}_{secret}",
        KeyRecord(role, name, _hash(secret), now, driver_id),
    )


def read_records(stored: Mapping[bytes, bytes]) -> dict[str, KeyRecord]:
    """The records as Redis holds them; a key whose record cannot be read does not work."""
    records = {}
    for key_id, text in stored.items():
        try:
            records[key_id.decode()] = _decode(text)
        except MALFORMED:
            continue
    return records


def read_key(text: str, records: Mapping[str, KeyRecord]) -> Principal | None:
    """Whose key `text` is, compared in constant time; None for any other text."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    key_id, secret = form.groups()
    record = records.get(key_id)
    # An unknown id costs as much as a wrong secret.
    expected = "0" * 64 if record is None else record.sha256
    if not hmac.compare_digest(_hash(secret), expected) or record is None:
        return None
    return Principal(
        role=record.role, subject=f"key:{key_id}", driver_id=record.driver_id, key_id=key_id
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
