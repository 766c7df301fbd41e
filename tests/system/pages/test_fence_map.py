"""Geofences on the operators' map, in a real browser: drawn, dragged, renamed, deleted."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Locator

from tests.clients.browser import Visit, any_browser
from tests.stack import Stack
from tests.wait import wait_until

browser = pytest.fixture(scope="module")(any_browser)
# Far from the drivers of other tests, so that the map can be put beside them.
PLACE = (47.05, 8.306)
PATH = "/api/v1/geofences"
LAKE = {
    "type": "Polygon",
    "coordinates": [
        [[8.300, 47.040], [8.330, 47.045], [8.325, 47.062], [8.305, 47.060], [8.300, 47.040]],
        [[8.310, 47.048], [8.316, 47.049], [8.313, 47.053], [8.310, 47.048]],
    ],
}  # fmt: skip
ROAD = {"type": "LineString", "coordinates": [[8.270, 47.040], [8.285, 47.052], [8.292, 47.070]]}


@pytest.fixture(autouse=True)
def town(stack: Stack) -> None:
    """A driver in a town with an area, a corridor, and a circle that is switched off."""
    send(stack)
    here = "/api/v1/drivers/fence-walker/location"
    wait_until(lambda: stack.request("GET", here)[0] == 200, what="the driver")
    for fence in stored(stack).values():
        stack.request("DELETE", f"{PATH}/{fence['geofence_id']}")
    for name, terms in (
        ("lake", {"name": "Lake district", "geometry": LAKE, "dwell_s": 60, "drivers": ["f*"]}),
        ("road", {"name": "Ring road", "geometry": ROAD, "width_m": 150}),
        (
            "yard",
            {
                "name": "Old yard",
                "geometry": {"type": "Point", "coordinates": [8.29, 47.035]},
                "radius_m": 350,
                "active": False,
            },
        ),
    ):
        assert stack.request("PUT", f"{PATH}/{name}", terms)[0] == 201


def stored(stack: Stack) -> dict[str, Any]:
    """The fences by name."""
    status, body = stack.request("GET", PATH)
    assert status == 200
    return {fence["name"]: fence for fence in body["geofences"]}


def send(stack: Stack) -> None:
    fix = {"driver_id": "fence-walker", "latitude": PLACE[0], "longitude": PLACE[1]}
    assert stack.request("POST", "/api/v1/drivers/locations", [fix])[0] == 202


def inside(stack: Stack, fence: str) -> bool:
    """Whether the driver, that stands there and sends once more, is in the fence."""
    send(stack)
    status, body = stack.request("GET", f"{PATH}/{fence}/drivers")
    return status == 200 and [d["driver_id"] for d in body["drivers"]] == ["fence-walker"]


def visit(browser: Browser, stack: Stack, **more: Any) -> Visit:
    return Visit(browser, f"{stack.url}/map", calm=True, **more)


def at_town(page: Visit) -> None:
    """The map at the town, all cards closed."""
    page.await_text("#link", "Live")
    page.page.fill("#wanted", "fence-walker")
    page.page.press("#wanted", "Enter")
    page.await_text("#driver-age", "Position")
    page.page.keyboard.press("Escape")
    page.page.locator("#driver").wait_for(state="hidden")
    page.page.evaluate("document.querySelector('#fences').open = true")


def choose(page: Visit, name: str) -> None:
    page.page.locator("#fence-list button", has_text=name).click()
    page.await_text("#fence-title", name)


def drag(page: Visit, handle: Locator, right: int, down: int) -> None:
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x + right / 2, y + down / 2, steps=3)
    page.page.mouse.move(x + right, y + down, steps=3)
    page.page.mouse.up()


def test_fences_are_seen_and_opened(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack) as page:
        at_town(page)
        page.await_text("#fences-count", "3")
        assert page.page.locator("#fence-list .is-off").inner_text() == "Old yard"
        wait_until(lambda: page.page.locator(".fence-name").count() > 0, what="a name on the map")
        choose(page, "Lake district")
        page.await_text("#fence-inside-count", "Nobody is inside")
        # The places engine knows the fence by now, or does within a second.
        wait_until(lambda: inside(stack, "lake"), what="a driver inside")
        page.await_text("#fence-inside-count", "1 inside")
        page.await_text("#fence-inside", "fence-walker")
        assert page.page.locator(".fence-handle.corner").count() == 7
        page.shoot("map-fences")
        page.page.set_viewport_size({"width": 1280, "height": 800})
        # Who is inside leads to the driver.
        page.page.locator("#fence-inside button").click()
        page.await_text("#driver-id", "fence-walker")
        page.page.locator("#fence").wait_for(state="hidden")


def test_a_circle_is_drawn_dragged_renamed_and_deleted(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack) as page:
        at_town(page)
        page.page.locator("#fence-circle").click()
        page.await_text("#fence-title", "New circle")
        # A click puts a new one there; then its edge is dragged.
        page.page.mouse.click(700, 300)
        before = float(page.page.input_value("#fence-size"))
        drag(page, page.page.locator(".fence-handle.corner"), 60, 0)
        assert float(page.page.input_value("#fence-size")) > before * 1.2
        page.page.fill("#fence-name", "Depot <b>north</b>")
        page.page.click("#fence-save")
        page.await_text("#fence-answer", "Saved.")
        fence = stored(stack)["Depot <b>north</b>"]
        assert fence["geofence_id"].startswith("depot-b-north-b-")
        size = float(page.page.input_value("#fence-size"))
        assert fence["radius_m"] == size
        assert page.page.locator("#fence b").count() == 0

        drag(page, page.page.locator(".fence-handle.whole"), 0, 80)
        page.page.fill("#fence-size", "120")
        page.page.uncheck("#fence-active")
        page.page.press("#fence-name", "Enter")
        page.await_text("#fence-answer", "Saved.")
        moved = stored(stack)["Depot <b>north</b>"]
        assert (moved["radius_m"], moved["active"]) == (120, False)
        assert moved["geometry"]["coordinates"][1] < fence["geometry"]["coordinates"][1]

        page.page.click("#fence-delete")
        page.await_text("#fence-delete", "Press again")
        page.page.click("#fence-delete")
        page.page.locator("#fence").wait_for(state="hidden")
        wait_until(lambda: "Depot <b>north</b>" not in stored(stack), what="it to be deleted")
        page.await_text("#fences-count", "3")


def test_corners_come_go_and_move_and_the_rest_stays(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack, outage=True) as page:
        at_town(page)
        # By the map: the smallest fence there.
        choose(page, "Lake district")
        corners = page.page.locator(".fence-handle.corner")
        page.page.locator(".fence-handle.edge").first.click()
        wait_until(lambda: corners.count() == 8, what="another corner")
        drag(page, corners.nth(1), 0, 90)
        corners.nth(3).dblclick()
        wait_until(lambda: corners.count() == 7, what="a corner less")
        # Nothing is lost by a click elsewhere.
        page.page.mouse.click(700, 760)
        page.page.click("#fence-save")
        page.await_text("#fence-answer", "Saved.")
        fence = stored(stack)["Lake district"]
        ring, hole = fence["geometry"]["coordinates"]
        assert (len(ring), hole) == (5, LAKE["coordinates"][1])
        assert ring[0] == ring[-1] == [8.3, 47.04]
        assert (fence["dwell_s"], fence["drivers"]) == (60, ["f*"])
        # A ring that crosses itself is refused, and said with its place.
        drag(page, corners.nth(2), -400, 60)
        page.page.click("#fence-save")
        page.await_text("#fence-answer", "at longitude")
        assert stored(stack)["Lake district"] == fence
        page.page.locator("#fence-list button", has_text="Ring road").click()
        page.await_text("#fence-answer", "There are changes")
        page.page.click("#fence-close")
        choose(page, "Ring road")
        assert page.page.input_value("#fence-size") == "150"


def test_keys_alone_draw_an_area(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack, size="360") as page:
        at_town(page)
        page.page.focus("#fence-area")
        page.page.keyboard.press("Enter")
        page.await_text("#fence-title", "New area")
        page.page.keyboard.type("By key")
        page.shoot("map-fence-new", ["360"])
        corner = page.page.locator(".fence-handle.corner").first
        corner.focus()
        for key in ("ArrowLeft", "Shift+ArrowDown"):
            page.page.keyboard.press(key)
        page.page.locator(".fence-handle.edge").first.focus()
        page.page.keyboard.press("Enter")
        wait_until(
            lambda: page.page.locator(".fence-handle.corner").count() == 5, what="a new corner"
        )
        assert page.evaluate("document.activeElement.classList.contains('corner')")
        page.page.keyboard.press("Shift+ArrowDown")
        page.page.focus("#fence-name")
        page.page.keyboard.press("Enter")
        page.await_text("#fence-answer", "Saved.")
        (ring,) = stored(stack)["By key"]["geometry"]["coordinates"]
        assert len(ring) == 6
        page.page.keyboard.press("Escape")
        page.page.locator("#fence").wait_for(state="hidden")


def test_what_the_role_may_not_do_is_said(browser: Browser, stack: Stack) -> None:
    shown = visit(browser, stack, outage=True)
    shown.page.route(
        f"**{PATH}/*",
        lambda route: (
            route.fulfill(status=403, json={"type": "/problems/not-allowed"})
            if route.request.method == "PUT"
            else route.continue_()
        ),
    )
    with shown as page:
        at_town(page)
        choose(page, "Old yard")
        page.page.fill("#fence-name", "New yard")
        page.page.click("#fence-save")
        page.await_text("#fence-answer", "may not change that")
        assert "Old yard" in stored(stack)
