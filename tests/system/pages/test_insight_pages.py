"""Trips, stops and the fleet's day in a real browser, from shifts of yesterday."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from tests.clients.browser import Visit, any_browser
from tests.stack import Stack
from tests.wait import wait_until

browser = pytest.fixture(scope="module")(any_browser)
# Drives of six minutes and stops of four, a fix every ten seconds.
MINUTES = 30
# Of yesterday, so that no test meets midnight.
MORNING = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0) - timedelta(days=1)


def shift(driver_id: str, east: float, pace: float) -> list[dict[str, object]]:
    start = MORNING
    fixes, north = [], 0.0
    for n in range(MINUTES * 6):
        north += pace if n % 60 < 36 else 0.0
        fixes.append(
            {
                "driver_id": driver_id,
                "latitude": 53.40 + north,
                "longitude": -2.99 + east,
                "speed": 40.0 if n % 60 < 36 else 0.0,
                "recorded_at": (start + timedelta(seconds=10 * n)).isoformat(),
            }
        )
    return fixes


@pytest.fixture(scope="module")
def day(stack_session: Stack) -> str:
    """The UTC day of two shifts, once they are folded."""
    fixes = shift("day-1", 0.0, 0.0010) + shift("day-2", 0.02, 0.0005)
    status, answer = stack_session.request("POST", "/api/v1/drivers/locations", fixes)
    assert (status, answer["rejected"]) == (202, 0)

    end = (MORNING + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    path = f"/api/v1/fleet/summary?end_time={end}"

    def folded() -> object:
        status, body = stack_session.request("GET", path)
        done = {d["driver_id"]: d["stops"] for d in body["drivers"]} if status == 200 else {}
        return min(done.get("day-1", 0), done.get("day-2", 0)) >= 3

    # Late by a day: they are marked, and folded within a minute.
    wait_until(folded, timeout_s=60, what="trips and stops")
    return str(fixes[-1]["recorded_at"])[:10]


def test_a_drivers_day_on_the_map(browser: Browser, stack_session: Stack, day: str) -> None:
    with Visit(browser, f"{stack_session.url}/map#driver=day-1&day={day}") as page:
        page.await_text("#driver-id", "day-1")
        page.await_text("#day-sum", "trips")
        page.await_text("#day-sum", "km")
        entries = page.page.locator("#timeline .entry")
        page.await_true("document.querySelectorAll('#timeline .entry.trip').length >= 3")
        page.await_true("document.querySelectorAll('#timeline .entry.stop').length >= 3")
        page.await_true("document.querySelectorAll('path.trip-line[d]').length >= 3")
        page.await_true("document.querySelectorAll('path.stop-spot[d]').length >= 3")
        assert page.page.locator("#strip .bit").count() == entries.count()
        page.shoot("map-day")
        # By key: the first trip is chosen, on the map and in the list.
        page.page.set_viewport_size({"width": 1280, "height": 800})
        entries.first.focus()
        page.page.keyboard.press("Enter")
        assert entries.first.get_attribute("aria-pressed") == "true"
        page.page.wait_for_selector("path.trip-line.chosen", state="attached")
        # By the map: the stop that is clicked is the one in the list.
        page.page.locator("path.stop-spot").first.dispatch_event("click")
        page.page.wait_for_selector(".entry.stop[aria-pressed=true]")
        assert page.page.locator(".entry[aria-pressed=true]").count() == 1
        page.page.click("#day-before")
        page.await_text("#day-sum", "Nothing was recorded on this day")
        assert entries.count() == 0
        page.page.keyboard.press("Escape")
        page.page.locator("#driver").wait_for(state="hidden")


def test_the_fleets_day(browser: Browser, stack_session: Stack, day: str) -> None:
    with Visit(browser, f"{stack_session.url}/fleet#day={day}") as page:
        page.await_text("#rows", "day-1")
        page.await_text("#totals", "Distance")
        page.await_text("#heat-text", "area")
        page.await_true("document.querySelector('#heat-map canvas') !== null")
        names = "[...document.querySelectorAll('#rows th')].map(th => th.textContent)"
        ours = f"{names}.filter(name => name.startsWith('day-'))"
        # Farthest first; a click on the name sorts by it, a second one the other way round.
        assert page.evaluate(ours) == ["day-1", "day-2"]
        sort = page.page.locator("#columns button").first
        sort.focus()
        page.page.keyboard.press("Enter")
        assert page.page.locator("#columns th").first.get_attribute("aria-sort") == "ascending"
        page.page.keyboard.press("Enter")
        assert page.evaluate(ours) == ["day-2", "day-1"]
        assert page.page.locator("#rows svg[role=img]").first.get_attribute("aria-label")
        page.shoot("fleet-day")
        page.page.set_viewport_size({"width": 360, "height": 740})
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(wide)
        # The slider is moved by keys, and says its hour.
        hour = page.page.locator("#hour")
        hour.focus()
        page.page.keyboard.press("Home")
        assert hour.get_attribute("aria-valuetext") == "00:00 \u2013 01:00"
        with page.page.expect_download() as saved:
            page.page.click("#csv")
        rows = list(csv.DictReader(io.StringIO(saved.value.path().read_text())))
        assert saved.value.suggested_filename == f"fleet-{day}.csv"
        assert {"day-1", "day-2"} <= {row["driver_id"] for row in rows}
        page.page.get_by_role("link", name="day-1").click()
        page.await_text("#driver-id", "day-1")
        page.await_text("#day-sum", "trips")
