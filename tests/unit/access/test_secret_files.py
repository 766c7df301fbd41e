"""Secrets in files: the setting with _FILE behind its name."""

from pathlib import Path

import pytest

from common.errors import ConfigError
from common.settings import Settings, load_settings
from common.settings.files import FILE_BYTES_MAX, IN_FILES, file_variable
from deploy.tools.access.tokens import auth_overrides

SECRET = "s" * 32


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(file_variable(name), raising=False)
    monkeypatch.chdir(tmp_path)


def put(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> Path:
    file = Path(f"{name}.secret").absolute()
    file.write_text(text)
    monkeypatch.setenv(file_variable(name), str(file))
    return file


def test_a_value_is_read_from_its_file(monkeypatch) -> None:
    put(monkeypatch, "redis_url", "redis://:pw@redis:6379/0\n")
    put(monkeypatch, "auth_secret", f"{SECRET}\n{'o' * 32}\n")
    settings = load_settings(auth="on")
    assert settings.redis_url == "redis://:pw@redis:6379/0"
    assert settings.given("redis_url")
    assert settings.auth_secret == f"{SECRET},{'o' * 32}"
    assert settings.database_url == Settings.model_fields["database_url"].default


def test_dot_env_may_name_the_file(tmp_path) -> None:
    (tmp_path / "url").write_text("redis://elsewhere")
    (tmp_path / ".env").write_text(f"REDIS_URL_FILE={tmp_path / 'url'}\n")
    assert load_settings().redis_url == "redis://elsewhere"


def test_every_setting_that_is_a_secret_may_stand_in_a_file() -> None:
    secret = {name for name, field in Settings.model_fields.items() if field.repr is False}
    assert secret <= IN_FILES


def test_one_that_is_no_secret_has_no_file(monkeypatch) -> None:
    put(monkeypatch, "shards", "8")
    assert load_settings().shards == 4


def test_two_places_for_one_setting_are_refused(monkeypatch) -> None:
    put(monkeypatch, "redis_url", "redis://a")
    monkeypatch.setenv("REDIS_URL", "redis://b")
    with pytest.raises(ConfigError, match=r"^REDIS_URL and REDIS_URL_FILE: set one of them$"):
        load_settings()
    monkeypatch.setenv("REDIS_URL", "")
    assert load_settings().redis_url == "redis://a"


def test_a_file_that_gives_nothing_stops_the_start(monkeypatch) -> None:
    file = put(monkeypatch, "database_url", " \n")
    with pytest.raises(ConfigError, match=r"^DATABASE_URL_FILE: .* is empty$"):
        load_settings()
    file.unlink()
    with pytest.raises(ConfigError, match=r"^DATABASE_URL_FILE: cannot read .*: No such file"):
        load_settings()
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"^DATABASE_URL_FILE: cannot read .*: it is no text$"):
        load_settings()


def test_a_device_is_not_read_for_ever(monkeypatch) -> None:
    monkeypatch.setenv("AUTH_SECRET_FILE", "/dev/zero")
    assert len(load_settings().auth_secret) == FILE_BYTES_MAX


def test_a_wrong_value_in_a_file_is_not_repeated(monkeypatch) -> None:
    put(monkeypatch, "auth_secret", "too-short-a-secret")
    with pytest.raises(ConfigError) as refused:
        load_settings(auth="on")
    assert "too-short" not in str(refused.value)


def test_children_read_the_file_themselves(monkeypatch) -> None:
    # What could break: a child that finds both is refused, and a rotated secret is never read.
    put(monkeypatch, "redis_url", "redis://:pw@redis:6379/0")
    told = load_settings(database_url="postgresql://given").environment()
    assert "REDIS_URL" not in told
    assert told["DATABASE_URL"] == "postgresql://given"
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert load_settings().redis_url == "redis://:pw@redis:6379/0"


def test_a_closed_stack_keeps_the_secret_of_the_file(monkeypatch, tmp_path) -> None:
    put(monkeypatch, "auth_secret", SECRET)
    assert auth_overrides(tmp_path) == {"auth": "on"}
    assert not (tmp_path / "auth.secret").exists()
