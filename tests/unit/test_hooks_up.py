"""When `fleetline up` leaves the sender out."""

import pytest
from structlog.testing import capture_logs

from common.settings import load_settings
from consumers.hooks import extra
from deploy.stack.extras import roles_off


def test_the_sender_is_left_out_where_it_is_switched_off() -> None:
    assert "hooks" not in roles_off(load_settings())
    assert "hooks" in roles_off(load_settings(webhooks="off"))


def test_without_its_package_it_is_left_out_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extra, "available", lambda: False)
    with capture_logs() as said:
        assert "hooks" in roles_off(load_settings())
        assert "hooks" in roles_off(load_settings(webhooks="off"))
    assert [(line["event"], line["detail"]) for line in said] == [("hooks.off", extra.MISSING)]
