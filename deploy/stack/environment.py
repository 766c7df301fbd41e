"""What a child of `fleetline up` is told: the settings it uses, and nothing it has no use for.

Pure. `up` has the secrets of all; a part that is broken into should have its own alone. So the
environment of a child is put together here, never inherited.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import deploy
from common.settings import Settings
from deploy.stack.wiring import OFFSETS

# Settings that open something, and what belongs to who may come in: a role has those named here.
# All others are limits and names, which every role may know.
GUARDED = frozenset(
    {
        *("redis_url", "database_url", "database_urls", "webhook_secret", "roads_url"),
        *("auth", "auth_secret", "auth_jwks", "bind_host", "gateway_host"),
    }
)
_DATABASES = frozenset({"database_url", "database_urls"})
_STORES = _DATABASES | {"redis_url"}
_DOOR = frozenset({"auth", "auth_secret", "auth_jwks", "bind_host"})
USED: Mapping[str, frozenset[str]] = {
    "migrate": _STORES,
    "consumers": _STORES,
    "insight": _DATABASES,
    "places": _STORES,
    # Webhooks are home's.
    "hooks": frozenset({"database_url", "webhook_secret"}),
    "arrivals": _STORES | {"roads_url"},
    "planner": frozenset({"roads_url"}),
    "ingest": _STORES | _DOOR | {"webhook_secret", "roads_url"},
    "fanout": _DOOR | {"redis_url"},
    # It learns from the history.
    "roads": _DATABASES,
    # Each role that it forks is told its own.
    "preloaded": frozenset(),
    # Talks HTTP, as anybody would.
    "simulate": frozenset(),
}
# Relative paths mean the folder that `up` was called in.
PATHS = frozenset({"auth_jwks", "tls_cert", "tls_key"})

# What a program may need of its surroundings to start at all, and to speak the right language.
_PLAIN = frozenset(
    {
        "PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "TERM", "COLUMNS", "NO_COLOR",
    }
)  # fmt: skip
_PLAIN_PREFIXES = ("LC_", "PYTHON", "MALLOC_", "COVERAGE_")
# libpq's variables, which complete a DATABASE_URL.
_DATABASE_PREFIX = "PG"


def plain_environment(own: Mapping[str, str]) -> dict[str, str]:
    """What of our environment any program may see; enough for a server."""
    return {
        name: value
        for name, value in own.items()
        if name in _PLAIN or name.startswith(_PLAIN_PREFIXES)
    }


def role_environment(
    role: str,
    settings: Settings,
    own: Mapping[str, str],
    *,
    stores: Mapping[str, str],
    home: Path,
) -> dict[str, str]:
    """The whole environment of a role.

    `own` is ours; `stores` names REDIS_URL and DATABASE_URL as they are now. Roles wherever they
    are started mean the same stack.
    """
    used = USED[role]
    told = settings.model_dump(mode="json", include=settings.model_fields_set | {"auth", *OFFSETS})
    told |= {"shards": settings.shards, "fleetline_home": str(home)}
    for name in PATHS & told.keys():
        told[name] = os.path.abspath(told[name]) if told[name] else ""  # noqa: PTH100 - pure
    shown = {
        name.upper(): str(value)
        for name, value in told.items()
        if name not in GUARDED or name in used
    }
    shown |= {name: url for name, url in stores.items() if name.lower() in used}
    if settings.given("database_url") and "database_url" in used:
        shown |= {name: v for name, v in own.items() if name.startswith(_DATABASE_PREFIX)}
    return {
        **plain_environment(own),
        **({"HOME": own["HOME"]} if "HOME" in own else {}),
        **shown,
        # The project from anywhere, and nothing from the folder that the child works in: it is
        # not the one of `.env`, which `up` has read.
        "PYTHONPATH": _python_path(own),
        "PYTHONSAFEPATH": "1",
        # Stacks of all threads when a role is aborted.
        "PYTHONFAULTHANDLER": "1",
    }


def _python_path(own: Mapping[str, str]) -> str:
    project = str(Path(deploy.__file__).parents[1])
    return os.pathsep.join(filter(None, (project, own.get("PYTHONPATH"))))
