"""The closed form of a stack on this machine: a secret of its own, and the first tokens.

The secret lies under the home, readable by its owner alone. Each line is a secret and the first
one signs: to rotate, put a new line above; to end what a secret signed, remove its line.
"""

import os
import secrets
import sys
import time
from pathlib import Path

from common.access.claims import new_claims
from common.access.policy import Role
from common.access.signing import new_signing
from common.errors import ConfigError
from common.settings import Settings
from common.settings.files import FromFiles

FILE = "auth.secret"
# What `up --auth` prints is for a first look: it ends by itself.
FIRST_TTL_S = 86_400


class _Given(FromFiles):
    """What the environment says before a secret is made up."""

    model_config = Settings.model_config

    auth_secret: str = ""
    fleetline_home: Path = Path(".fleetline")


def auth_overrides(home: Path | None) -> dict[str, object]:
    """AUTH=on, with the given secret, or with the one in the home, made if need be."""
    given = _Given()
    if given.auth_secret:
        return {"auth": "on"}
    file = (home or given.fleetline_home) / FILE
    return {"auth": "on", "auth_secret": _read(file) or _make(file)}


def signing_settings(settings: Settings) -> Settings:
    """`settings` with the secret that tokens of this stack are signed with. `ConfigError`: none."""
    if settings.auth_secret:
        return settings
    file = settings.fleetline_home / FILE
    found = _read(file)
    if not found:
        raise ConfigError(f"AUTH_SECRET: it is not set, and there is no {file} (`up --auth`)")
    return settings.model_copy(update={"auth_secret": found})


def _read(file: Path) -> str:
    try:
        return ",".join(file.read_text().split())
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeError) as e:
        raise ConfigError(f"AUTH_SECRET: cannot read {file}") from e


def _make(file: Path) -> str:
    secret = secrets.token_hex(32)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(f"{secret}\n")
    except OSError as e:
        raise ConfigError(f"FLEETLINE_HOME: cannot write {file}: {e.strerror}") from e
    return secret


def new_token(settings: Settings, role: Role, subject: str, ttl_s: float) -> tuple[str, str]:
    """A token and its id."""
    signing = new_signing(signing_settings(settings))
    claims = new_claims(role, subject, settings.auth_audience, now=time.time(), ttl_s=ttl_s)
    return signing.sign(claims), str(claims["jti"])


def first_tokens_text(settings: Settings, url: str) -> list[str]:
    """Lines for the person who started it: how to get in. A file or a journal is told where."""
    if not sys.stdout.isatty():
        return ["auth: on; tokens: fleetline token create --role operator --subject NAME"]
    operator, _ = new_token(settings, Role.OPERATOR, "up-operator", FIRST_TTL_S)
    gateway, _ = new_token(settings, Role.GATEWAY, "up-gateway", FIRST_TTL_S)
    insecure = "-k " if settings.tls_cert else ""
    return [
        "auth: on; these two tokens work for a day:",
        f"  the map:   {url}/map#token={operator}",
        f"  a backend: curl {insecure}-H 'Authorization: Bearer {gateway}' \\",
        "    -H 'Content-Type: application/json' -d '{\"latitude\": 53.4, \"longitude\": -2.9}' \\",
        f"    {url}/api/v1/drivers/driver-1/location",
        "  more: fleetline token create --help, fleetline key create --help",
    ]
