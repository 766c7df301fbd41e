"""Settings: one clear line for a wrong value, and an example file that lists them all."""

import re
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.settings import Settings, load_settings
from common.settings.names import misspelt

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("SHARDS", "zero", "SHARDS: Input should be a valid integer"),
        ("SHARDS", "0", "SHARDS: Input should be greater than or equal to 1, not '0'"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL: "),
        ("INGEST_PORT", "70000", "INGEST_PORT: "),
        ("STREAM_NAME", "a{b", "STREAM_NAME must not"),
        ("HEARTBEAT_TIMEOUT_S", "10", "HEARTBEAT_TIMEOUT_S must exceed"),
        ("BODY_TIMEOUT_S", "inf", "BODY_TIMEOUT_S: "),
        ("EVENT_AGE_MAX_S", "1e300", "EVENT_AGE_MAX_S: "),
        # What broke: the roles started, and asked a database that could not be for ever.
        ("DATABASE_URL", "fleetline:secret@db/fleetline", "DATABASE_URL must begin with postgres"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(monkeypatch, name, value, line):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_given_tells_the_environment_from_a_default(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDIS_URL", raising=False)
    assert not load_settings().given("redis_url")
    monkeypatch.setenv("REDIS_URL", "redis://10.0.0.1:6379/0")
    assert load_settings().given("redis_url")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("SHARD", "SHARDS"), ("DATABSE_URL", "DATABASE_URL"), ("ingest_worker", "INGEST_WORKERS")],
)
def test_a_misspelt_setting_stops_the_start_and_names_the_right_one(monkeypatch, name, meant):
    """SHARD=8 used to start a system with four shards."""
    monkeypatch.setenv(name, "8")
    with pytest.raises(ConfigError, match=rf"^{name.upper()}: .*; {meant} is one$"):
        load_settings()


def test_a_misspelt_setting_in_the_file_is_noticed_too(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("DATABASE_ULR=x\n")
    with pytest.raises(ConfigError, match=r"DATABASE_ULR: .*; DATABASE_URL is one"):
        load_settings()


def test_a_setting_of_an_earlier_release_is_not_believed_to_hold(monkeypatch):
    monkeypatch.setenv("BATCH_FIXES_MAX", "500")
    with pytest.raises(ConfigError, match=r"^BATCH_FIXES_MAX: it is no setting any more"):
        load_settings()


def test_names_of_other_programs_are_left_alone():
    theirs = [
        "PATH",
        "REDIS_PORT_6379_TCP",
        "POSTGRES_PASSWORD",
        "POSTGRES_HOST",
        "HOME",
        "LOG_DIR",
    ]
    theirs += ["LOG_DIR", "REDIS_SERVICE_PORT", "AUTHOR", "SHELL", "HOST", "PORT", "VIRTUAL_ENV"]
    assert misspelt(theirs, Settings.model_fields) is None


def test_the_example_file_lists_every_setting_with_its_comment():
    files = sorted((ROOT / "common/settings").glob("*.py"))
    source = "".join(file.read_text() for file in files)
    fields = re.findall(r"    # (.+)\n    (\w+): .+", source)
    assert {name for _, name in fields} == set(Settings.model_fields)
    expected = [f"# {comment}\n# {name.upper()}={_text(name)}" for comment, name in fields]
    example = (ROOT / ".env.example").read_text()
    assert [block for block in expected if block not in example] == []
    assert len(re.findall(r"^# [A-Z_]+=", example, re.MULTILINE)) == len(fields)


def _text(name):
    default = Settings.model_fields[name].default
    whole = isinstance(default, float) and default == int(default)
    return str(int(default) if whole else default)


def test_a_file_of_certificates_that_is_none_stops_the_start_with_its_name(tmp_path):
    """What broke: Redis was said not to be reachable, for ever."""
    empty = tmp_path / "empty.pem"
    empty.touch()
    postgres = "postgresql://u:secret@h/d?sslmode=verify-full&sslrootcert="
    missing = "'/missing.pem' cannot be read: No such file or directory"
    none = f"there is no certificate in '{empty}'"
    for values, line in [
        ({"redis_url": "rediss://:secret@h?ssl_ca_certs=/missing.pem"},
         f"REDIS_URL: ssl_ca_certs: {missing}"),
        ({"redis_url": f"rediss+cluster://:secret@a,[::1]:3/0?ssl_ca_certs={empty}"},
         f"REDIS_URL: ssl_ca_certs: {none}"),
        ({"database_url": f"{postgres}/missing.pem"}, f"DATABASE_URL: sslrootcert: {missing}"),
        ({"database_urls": f"postgresql://u@g/d,{postgres}{empty}"},
         f"DATABASE_URLS: sslrootcert: {none}"),
    ]:  # fmt: skip
        with pytest.raises(ConfigError) as refused:
            load_settings(**values)
        assert str(refused.value) == line
    # Where nothing is verified the file is not read.
    load_settings(redis_url="redis://h?ssl_ca_certs=/missing.pem")
    load_settings(database_url="postgresql://u@h/d?sslrootcert=/missing.pem")
