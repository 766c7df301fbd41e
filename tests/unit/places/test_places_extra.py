"""Without the package shapely places are off, and that is said in one line."""

import pytest
import structlog

from common.errors import ConfigError
from common.settings import load_settings
from consumers.places import extra
from deploy.stack.extras import roles_off


def test_what_is_switched_off_is_left_out_without_a_word():
    with structlog.testing.capture_logs() as said:
        assert roles_off(load_settings(places="off", insight="off")) == {"places", "insight"}
        assert roles_off(load_settings()) == set()
    assert said == []


def test_what_is_not_installed_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr(extra, "PACKAGES", ("no_such_package",))
    with structlog.testing.capture_logs() as said:
        assert roles_off(load_settings()) == {"places"}
    assert [line["event"] for line in said] == ["role.off"]
    assert "shapely" in said[0]["detail"]
    with pytest.raises(ConfigError, match="shapely"):
        extra.require()
