"""Settings: one clear line for a wrong value, and an example file that lists them all."""

import re
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("SHARDS", "zero", "SHARDS: Input should be a valid integer"),
        ("SHARDS", "0", "SHARDS: Input should be greater than or equal to 1, not '0'"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL: "),
        ("INGEST_PORT", "70000", "INGEST_PORT: "),
        ("STREAM_NAME", "a{b", "STREAM_NAME must not"),
        ("INFLIGHT_EVENTS_MAX", "10", "INFLIGHT_EVENTS_MAX must be"),
        ("PONG_TIMEOUT_S", "60", "PONG_TIMEOUT_S must be"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(monkeypatch, name, value, line):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)


def test_given_tells_the_environment_from_a_default(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDIS_URL", raising=False)
    assert not load_settings().given("redis_url")
    monkeypatch.setenv("REDIS_URL", "redis://10.0.0.1:6379/0")
    assert load_settings().given("redis_url")


def test_the_example_file_lists_every_setting_with_its_comment():
    source = (ROOT / "common/settings/__init__.py").read_text()
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
