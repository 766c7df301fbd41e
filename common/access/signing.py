"""Signatures of tokens, by PyJWT. Every key has one algorithm, pinned when it was read.

A token's header is only compared with that, never believed: `alg: none`, or a public key taken
for a shared secret, finds no key. Shared secrets come from AUTH_SECRET (HS256; the first signs),
public keys of an identity provider from AUTH_JWKS (a JWKS or PEM file).
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from common.access.claims import REQUIRED, unknown
from common.errors import ConfigError, words_of
from common.settings import Settings
from common.settings.closed import parse_secrets

HS256 = "HS256"
PUBLIC_ALGORITHMS = ("RS256", "ES256", "EdDSA")
# Far above any token of ours; longer texts are not looked at.
TOKEN_CHARS_MAX = 4096
KEYS_MAX = 16
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A key that verifies one algorithm. `kid` is its name in a JWKS."""

    algorithm: str
    key: Any = field(repr=False)
    kid: str | None = None


def read_public_keys(path: Path) -> list[PinnedKey]:
    """The keys of a JWKS or PEM file. Raises `ConfigError`: a shared secret is not taken here."""
    try:
        text = path.read_text()
        keys = _jwks(text) if text.lstrip().startswith("{") else [_pem(text)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as e:
        raise ConfigError(f"AUTH_JWKS: {path}: {words_of(e)}") from e
    if not 1 <= len(keys) <= KEYS_MAX:
        raise ConfigError(f"AUTH_JWKS: {path} must hold 1 to {KEYS_MAX} keys")
    wrong = [key.algorithm for key in keys if key.algorithm not in PUBLIC_ALGORITHMS]
    if wrong:
        raise ConfigError(
            f"AUTH_JWKS: {path}: {wrong[0]} is not one of {', '.join(PUBLIC_ALGORITHMS)}"
        )
    names = [(key.algorithm, key.kid) for key in keys]
    if len(set(names)) < len(names) or (len(names) > 1 and any(kid is None for _, kid in names)):
        raise ConfigError(f"AUTH_JWKS: {path}: of several keys each needs a kid of its own")
    return keys


def _jwks(text: str) -> list[PinnedKey]:
    document = json.loads(text)
    keys = [jwt.PyJWK(entry) for entry in document["keys"] if entry.get("use", "sig") == "sig"]
    return [PinnedKey(key.algorithm_name, key.key, key.key_id) for key in keys]


def _pem(text: str) -> PinnedKey:
    key = load_pem_public_key(text.encode())
    if isinstance(key, rsa.RSAPublicKey):
        return PinnedKey("RS256", key)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return PinnedKey("ES256", key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return PinnedKey("EdDSA", key)
    raise ValueError("not an RSA, P-256 or Ed25519 public key")


class Signing:
    """Verifies tokens, and signs those made here."""

    def __init__(self, secrets: list[str], public_keys: list[PinnedKey], audience: str) -> None:
        self._secrets = secrets
        self._audience = audience
        self._jwt = jwt.PyJWT()
        self._keys = [*(PinnedKey(HS256, s.encode()) for s in secrets), *public_keys]

    def sign(self, claims: dict[str, object]) -> str:
        """A token, signed with the newest secret."""
        return self._jwt.encode(claims, self._secrets[0].encode(), algorithm=HS256)

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a good token. Raises `Refused`, always the same, for anything else."""
        # PyJWT ignores characters that are no base64: without this one token had many spellings.
        if len(token) > TOKEN_CHARS_MAX or not _COMPACT.fullmatch(token):
            raise unknown()
        try:
            header = jwt.get_unverified_header(token)
            for key in self._candidates(header.get("alg"), header.get("kid")):
                try:
                    return self._decode(token, key)
                except jwt.InvalidSignatureError:
                    continue
        # Claims of any type and size may be in there: a token is never a bug of ours.
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as e:
            raise unknown() from e
        raise unknown()

    def _candidates(self, algorithm: object, kid: object) -> list[PinnedKey]:
        """Keys that may have signed a token with such a header.

        Shared secrets are tried in turn, which costs microseconds. Of public keys one at most is:
        where there are several of an algorithm, a token has to name one of them.
        """
        keys = [key for key in self._keys if key.algorithm == algorithm]
        if kid is None and len(keys) > 1:
            return [key for key in keys if key.kid is None]
        return [key for key in keys if key.kid is None or kid in (None, key.kid)]

    def _decode(self, token: str, key: PinnedKey) -> dict[str, Any]:
        return self._jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=self._audience,
            # A provider whose clock is ahead by a second is not refused for its `iat`.
            options={"require": list(REQUIRED), "verify_iat": False},
        )


def new_signing(settings: Settings) -> Signing:
    """Keys as the settings name them. Raises `ConfigError` for a file that cannot be read."""
    secrets = parse_secrets(settings.auth_secret)
    if not secrets:
        raise ConfigError("AUTH_SECRET: there is none to sign with")
    public = read_public_keys(Path(settings.auth_jwks)) if settings.auth_jwks else []
    return Signing(secrets, public, settings.auth_audience)
