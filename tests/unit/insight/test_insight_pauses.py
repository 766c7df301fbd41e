"""The follower rests while it is up to date, and hurries while it is behind."""

from datetime import UTC, datetime, timedelta

import pytest

from consumers.insight.pauses import (
    DRIVERS_BEHIND,
    DRIVERS_LIVE,
    NAMES_BEHIND,
    NAMES_LIVE,
    REST_MAX_S,
    REST_SHARE,
    UP_TO_DATE,
    Pauses,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("behind", [timedelta(0), UP_TO_DATE])
def test_up_to_date_it_works_in_short_stretches(behind):
    pauses = Pauses()
    pauses.begin(NOW - behind, NOW)
    assert (pauses.drivers_max, pauses.names_max) == (DRIVERS_LIVE, NAMES_LIVE)
    assert pauses.rest_s(0.05) == 0.05 * REST_SHARE
    assert pauses.rest_s(1000.0) == REST_MAX_S


def test_behind_it_hurries():
    pauses = Pauses()
    pauses.begin(NOW - UP_TO_DATE - timedelta(seconds=1), NOW)
    assert (pauses.drivers_max, pauses.names_max) == (DRIVERS_BEHIND, NAMES_BEHIND)
    assert pauses.rest_s(10.0) == 0.0
