"""The gate: from the text of an Authorization header to who sends it, from memory.

A verified credential is remembered under the header `Bearer <credential>`, so that a request on a
kept connection pays a look-up, not a signature. Other spellings of a header (Basic, another case,
blanks) are brought to that one before they are looked up: the memory holds no variants of one
token. What is remembered is bounded, and is forgotten the moment a revocation or a removed key
touches it, so the look-up need not ask again.
"""

import base64
import binascii
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from common.access.api_key import PREFIX, KeyRecord, read_key
from common.access.claims import read_claims, unknown
from common.access.policy import Principal
from common.access.signing import TOKEN_CHARS_MAX, Signing, new_signing
from common.errors import Overloaded
from common.settings import Settings

# Verified tokens and keys that one process remembers: five times the drivers it was made for.
CREDENTIALS_MAX = 50_000
# Memory of remembered credentials; past it the oldest are verified again when they come back.
KNOWN_BYTES_MAX = 64 * 1_048_576
# What an entry costs beside its header: the principal and its texts.
ENTRY_BYTES = 700
_CANONICAL = "Bearer "


@dataclass(frozen=True, slots=True)
class Lists:
    """What every process reads from Redis: API keys by id, and revocations.

    A revocation is `jti:<id>` or `sub:<subject>`, with its time in epoch seconds.
    """

    keys: Mapping[str, KeyRecord] = field(default_factory=dict)
    revoked: Mapping[str, float] = field(default_factory=dict)

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the token or key of `principal` is good no longer.

        A subject's revocation ends what was issued up to then: a new token works again.
        """
        if principal.key_id:
            return principal.key_id not in self.keys
        if principal.token_id and f"jti:{principal.token_id}" in self.revoked:
            return True
        revoked_at = self.revoked.get(f"sub:{principal.subject}")
        return revoked_at is not None and principal.issued_at <= revoked_at


class Gate:
    """Authenticates credentials. Synchronous; `lists` are brought by `common.access.watch`."""

    def __init__(
        self, signing: Signing, credentials_max: int, *, known_bytes_max: int = KNOWN_BYTES_MAX
    ) -> None:
        self.signing = signing
        self._credentials_max = credentials_max
        self._known_bytes_max = known_bytes_max
        # Canonical header -> who sends it, oldest first; and the size of it all.
        self._known: OrderedDict[str, Principal] = OrderedDict()
        self._known_bytes = 0
        self._lists: Lists | None = None
        # Key id -> epoch seconds of its last use, since somebody last took them.
        self.used: dict[str, float] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Credentials that are remembered, and about how many bytes that takes."""
        return len(self._known), self._known_bytes

    def authenticate(self, header: str) -> Principal:
        """Who sends this Authorization header. Raises `Refused`, `Overloaded`."""
        return self.cached(header) or self._learn(credential_of(header))

    def cached(self, header: str) -> Principal | None:
        """Who sends this Authorization header, if that is known by now; the hot path."""
        principal = self._known.get(header)
        if principal is None:
            return None
        now = time.time()
        if principal.expires_at <= now:
            return None
        if principal.key_id:
            self.used[principal.key_id] = now
        return principal

    def verify(self, credential: str) -> Principal:
        """Who has this token or key. Raises `Refused`; `Overloaded` before the lists are known."""
        lists = self._lists
        if lists is None:
            raise Overloaded("the lists of keys and revocations have not been read yet")
        principal: Principal | None
        if credential.startswith(PREFIX):
            principal = read_key(credential, lists.keys)
        else:
            principal = read_claims(self.signing.verify(credential))
        if principal is None or lists.is_revoked(principal):
            raise unknown()
        return principal

    def is_revoked(self, principal: Principal) -> bool:
        """Whether what `principal` came with has been revoked since."""
        return self._lists is not None and self._lists.is_revoked(principal)

    def replace(self, lists: Lists) -> None:
        """Take new lists, and forget the credentials that they end."""
        self._lists = lists
        for header in [h for h, p in self._known.items() if lists.is_revoked(p)]:
            self._forget(header)

    def _learn(self, credential: str) -> Principal:
        # However the header was spelled, one credential is one entry.
        header = f"{_CANONICAL}{credential}"
        principal = self.cached(header)
        if principal is not None:
            return principal
        self._forget(header)
        principal = self.verify(credential)
        self._known[header] = principal
        self._known_bytes += len(header) + ENTRY_BYTES
        if principal.key_id:
            self.used[principal.key_id] = time.time()
        while len(self._known) > self._credentials_max or self._known_bytes > self._known_bytes_max:
            self._forget(next(iter(self._known)))
        return principal

    def _forget(self, header: str) -> None:
        if self._known.pop(header, None) is not None:
            self._known_bytes -= len(header) + ENTRY_BYTES


def open_gate(settings: Settings) -> Gate | None:
    """The gate of a process; None with AUTH=off. Raises `ConfigError`."""
    if settings.auth == "off":
        return None
    return Gate(new_signing(settings), CREDENTIALS_MAX)


def credential_of(header: str) -> str:
    """The token or key in an Authorization header: Bearer, or the password of Basic."""
    scheme, _, rest = header.partition(" ")
    rest = rest.strip()
    if len(rest) <= 2 * TOKEN_CHARS_MAX:
        if scheme.lower() == "bearer":
            return rest
        if scheme.lower() == "basic":
            try:
                return base64.b64decode(rest, validate=True).decode("ascii").rpartition(":")[2]
            except (binascii.Error, ValueError):
                pass
    raise unknown()
