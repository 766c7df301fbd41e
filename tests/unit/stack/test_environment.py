"""What each child of `up` is told, and what it is not."""

from pathlib import Path

import pytest

from common.settings import Settings, load_settings
from deploy.stack.environment import GUARDED, USED, plain_environment, role_environment
from tests.access import SECRET

OWN = {
    "PATH": "/bin", "LC_ALL": "C", "HOME": "/home/me", "PYTHONUNBUFFERED": "1",
    "AWS_SECRET_ACCESS_KEY": "cloud", "FLEETLINE_TOKEN": "token", "PGPASSWORD": "other",
    "AUTH_SECRET": SECRET, "REDIS_URL": "redis://:given@127.0.0.1", "SHARD": "8",
}  # fmt: skip
STORES = {"REDIS_URL": "redis://:r@h/0", "DATABASE_URL": "postgresql://f:p@h/f"}
# Role -> settings that it has of those that open something.
TOLD = {
    "migrate": {"REDIS_URL", "DATABASE_URL"},
    "consumers": {"REDIS_URL", "DATABASE_URL"},
    "insight": {"DATABASE_URL"},
    "places": {"REDIS_URL", "DATABASE_URL"},
    "hooks": {"DATABASE_URL", "WEBHOOK_SECRET"},
    "arrivals": {"REDIS_URL", "DATABASE_URL"},
    "planner": set(),
    "ingest": {
        *("REDIS_URL", "DATABASE_URL", "WEBHOOK_SECRET"),
        *("AUTH", "AUTH_SECRET", "AUTH_JWKS"),
    },
    "roads": {"DATABASE_URL"},
    "fanout": {"REDIS_URL", "AUTH", "AUTH_SECRET", "AUTH_JWKS"},
    "preloaded": set(),
    "simulate": set(),
}


def told(role: str, **given: object) -> dict[str, str]:
    settings = load_settings(**given)
    return role_environment(role, settings, OWN, stores=STORES, home=Path("/home/of/it"))


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("role", USED)
def test_a_role_has_the_secrets_that_it_uses_and_no_others(role: str) -> None:
    # What broke: consumers and PostgreSQL had AUTH_SECRET, and whatever the shell held.
    shown = told(role, auth="on", auth_secret=SECRET, auth_jwks="keys.json", webhook_secret=SECRET)
    assert {name for name in shown if name.lower() in GUARDED} == TOLD[role]
    assert not {"AWS_SECRET_ACCESS_KEY", "FLEETLINE_TOKEN", "PGPASSWORD", "SHARD"} & shown.keys()
    assert ("REDIS_URL", STORES["REDIS_URL"]) in shown.items() or "REDIS_URL" not in TOLD[role]


def test_every_setting_that_may_hold_a_secret_is_guarded() -> None:
    secret = {
        name
        for name, field in Settings.model_fields.items()
        if field.repr is False
        or name.endswith(("_secret", "_password", "_token"))
        # Where others are found, not how they are entered.
        or (name.endswith("_url") and name not in {"public_url", "tile_url"})
    }
    assert secret <= GUARDED


@pytest.mark.parametrize("role", USED)
def test_a_role_can_build_its_settings_from_what_it_is_told(
    role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What could break: AUTH=on without its secret, or a wide address with AUTH=off, is refused.
    shown = told(role, auth="on", auth_secret=SECRET, gateway_host="0.0.0.0", shards=7)
    for name, value in shown.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.shards == 7
    assert settings.fleetline_home == Path("/home/of/it")


def test_ports_and_limits_are_told_to_all() -> None:
    shown = told("consumers", ingest_port=9008, heartbeat_timeout_s=20)
    assert (shown["INGEST_PORT"], shown["HEARTBEAT_TIMEOUT_S"]) == ("9008", "20.0")
    assert "LOCATION_TTL" not in shown


def test_a_relative_path_means_the_folder_of_up(tmp_path: Path) -> None:
    shown = told("ingest", auth="on", auth_secret=SECRET, auth_jwks="keys.json")
    assert shown["AUTH_JWKS"] == str(tmp_path / "keys.json")


def test_variables_of_libpq_complete_a_database_that_was_given() -> None:
    given = {"database_url": "postgresql://db.example.org/fleet"}
    assert told("consumers", **given)["PGPASSWORD"] == "other"
    assert "PGPASSWORD" not in told("fanout", **given)


def test_servers_have_nothing_of_it() -> None:
    assert plain_environment(OWN) == {"PATH": "/bin", "LC_ALL": "C", "PYTHONUNBUFFERED": "1"}
