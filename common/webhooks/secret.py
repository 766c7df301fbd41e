"""Secrets of webhooks, and signatures as Standard Webhooks say. Pure but for the dice.

A secret is not stored. The database holds a random seed, and the secret is computed from it with
WEBHOOK_SECRET; so whoever has the database alone (a dump, a replica, a backup) can sign nothing.
A seed begins with the fingerprint of the key that it needs, so that keys can be changed: the first
of WEBHOOK_SECRET makes new secrets, and the others still serve the old ones.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Sequence

PREFIX = "whsec_"
SEED_BYTES = 32
_FINGERPRINT_BYTES = 4


class UnknownKey(Exception):
    """The key that a seed was made for is not in WEBHOOK_SECRET."""


class SecretKeys:
    """The keys of WEBHOOK_SECRET, newest first; none: an empty one, which protects nothing."""

    def __init__(self, keys: Sequence[str]) -> None:
        found = [key.encode() for key in keys] or [b""]
        self._newest = _fingerprint(found[0])
        # The earlier of two that look alike is the newer one.
        self._keys = {_fingerprint(key): key for key in reversed(found)}

    def new_seed(self) -> bytes:
        """A seed of a new secret, to be stored."""
        return self._newest + secrets.token_bytes(SEED_BYTES)

    def secret(self, seed: bytes) -> bytes:
        """The secret of a seed: 32 bytes. Raises `UnknownKey`."""
        key = self._keys.get(seed[:_FINGERPRINT_BYTES])
        if key is None:
            raise UnknownKey
        return hmac.digest(key, b"fleetline webhook\n" + seed, hashlib.sha256)


def shown(secret: bytes) -> str:
    """A secret as its owner is told it."""
    return PREFIX + b64encode(secret).decode()


def signature(secret: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """One signature of the header `webhook-signature`."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()


def _fingerprint(key: bytes) -> bytes:
    return hashlib.sha256(b"fleetline webhook key\n" + key).digest()[:_FINGERPRINT_BYTES]
