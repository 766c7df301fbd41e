"""Which roles `fleetline up` leaves out."""

import pytest

from common.settings import Settings
from consumers.hooks import serve
from deploy.local import switched_off


def settings(**given: str) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[call-arg, arg-type]


def test_a_role_is_left_out_where_it_is_switched_off() -> None:
    assert switched_off(settings()) == set()
    assert switched_off(settings(webhooks="off", insight="off")) == {"hooks", "insight"}


def test_without_its_package_the_sender_is_left_out_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "available", lambda: False)
    assert switched_off(settings()) == {"hooks"}
    assert capsys.readouterr().out == f"hooks: {serve.NOT_INSTALLED}\n"
    assert switched_off(settings(webhooks="off")) == {"hooks"}
