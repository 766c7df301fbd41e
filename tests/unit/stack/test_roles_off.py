"""Which roles `fleetline up` leaves out."""

import pytest
from structlog.testing import capture_logs

from common.settings import Settings
from consumers.hooks import serve as hooks
from consumers.places import extra as places
from consumers.planner import serve as planner
from deploy.stack.extras import roles_off


def settings(**given: str) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[call-arg, arg-type]


def test_a_role_is_left_out_where_it_is_switched_off() -> None:
    assert roles_off(settings()) == set()
    off = roles_off(
        settings(webhooks="off", insight="off", places="off", arrivals="off", plans="off")
    )
    assert off == {"arrivals", "hooks", "insight", "places", "planner"}


@pytest.mark.parametrize(
    ("role", "switch", "module", "detail"),
    [
        ("hooks", "webhooks", hooks, hooks.NOT_INSTALLED),
        ("places", "places", places, places.MISSING),
        ("planner", "plans", planner, planner.NOT_INSTALLED),
    ],
)
def test_without_its_package_a_role_is_left_out_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, role: str, switch: str, module: object, detail: str
) -> None:
    monkeypatch.setattr(module, "available", lambda: False)
    with capture_logs() as lines:
        assert roles_off(settings()) == {role}
    assert [(line["event"], line["role"], line["detail"]) for line in lines] == [
        ("role.off", role, detail)
    ]
    with capture_logs() as lines:
        assert roles_off(settings(**{switch: "off"})) == {role}
    assert lines == []
