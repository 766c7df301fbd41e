"""The operators' map in a real browser."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from tests.clients.browser import Visit, any_browser
from tests.clients.courier import Courier
from tests.stack import Stack
from tests.wait import wait_until

CITY = (53.4084, -2.9916)


browser = pytest.fixture(scope="module")(any_browser)


def send(stack: Stack, fixes: list[dict[str, object]]) -> None:
    status, answer = stack.request("POST", "/api/v1/drivers/locations", fixes)
    assert (status, answer["rejected"]) == (202, 0)


def spread(count: int) -> list[dict[str, object]]:
    """Drivers on a spiral round the city's middle, a fix each."""
    fixes: list[dict[str, object]] = []
    for number in range(count):
        turn = number * 2.4
        far = 0.0022 * number**0.5
        east, north = far * 1.6 * math.cos(turn), far * math.sin(turn)
        fixes.append(
            {
                "driver_id": f"fleet-{number:04}",
                "latitude": CITY[0] + north,
                "longitude": CITY[1] + east,
                "heading": number * 37 % 360,
                "speed": 20 + number % 30,
                "accuracy": 6,
                "order_id": f"fleet-order-{number:04}",
            }
        )
    return fixes


def await_count(page: Visit, selector: str, least: int) -> None:
    page.await_true(
        f"Number(document.querySelector('{selector}').textContent.replace(/\\u202f/g, ''))"
        f" >= {least}"
    )


def drawn(page: Visit) -> int:
    """How many pixels of the drivers' canvas are not empty."""
    return int(
        page.evaluate(
            """() => {
              const canvas = document.querySelector(".fleet-canvas");
              const { data } = canvas.getContext("2d")
                .getImageData(0, 0, canvas.width, canvas.height);
              let full = 0;
              for (let i = 3; i < data.length; i += 4) full += data[i] > 0 ? 1 : 0;
              return full;
            }"""
        )
    )


def test_all_drivers_and_the_state_of_the_service(browser: Browser, stack: Stack) -> None:
    send(stack, spread(400))
    with Visit(browser, f"{stack.url}/map") as page:
        page.await_text("#link", "Live")
        await_count(page, "#in-view", 380)
        await_count(page, "#in-all", 400)
        assert drawn(page) > 400 * 20
        page.await_text("#health-title", "All parts work")
        for words in ("Redis", "Database", "Consumers", "4 of 4 up"):
            page.await_text("#parts", words)
        page.await_text("#numbers", "Backlog, shard")
        page.await_text("#numbers", "Dead letters")
        with Courier(stack, "page-fleet"):
            await_count(page, "#rate", 1)
        page.shoot("map", ["desktop"])
    with Visit(browser, f"{stack.url}/map", size="360") as page:
        await_count(page, "#in-view", 380)
        page.shoot("map", ["360"])


def test_a_driver_is_found_and_its_route_drawn(browser: Browser, stack: Stack) -> None:
    now = datetime.now(UTC)
    # In pages of 2,000: more than one, and older than the map's trail of what it saw itself.
    walk: list[dict[str, object]] = [
        {
            "driver_id": "page-walker",
            "latitude": 10 + 0.00002 * second,
            "longitude": 20 + 0.00001 * second,
            "heading": 30.0,
            "speed": 18.0,
            "order_id": "page-walk",
            "recorded_at": (now - timedelta(seconds=2400 - second)).isoformat(),
        }
        for second in range(2400)
    ]
    for first in range(0, len(walk), 800):
        send(stack, walk[first : first + 800])
    with Visit(browser, f"{stack.url}/map") as page:
        page.await_text("#link", "Live")
        page.page.fill("#wanted", "page-walker")
        page.page.press("#wanted", "Enter")
        page.await_text("#driver-id", "page-walker")
        page.await_text("#driver-facts", "18 km/h")
        page.await_text("#driver-facts", "page-walk")
        page.await_text("#route", "2\u202f400 fixes in the last hour")
        assert page.page.locator("path.route-line[d]").count() == 1
        assert page.page.get_attribute("#order-link", "href") == "/track/page-walk"
        # The looked-at box follows the map.
        page.await_true("document.querySelector('#in-view').textContent === '1'")
        assert "bbox=-180,-90,180,90" in page.sockets[0].url
        wait_until(lambda: 19 < west_of(page.newest_socket()) < 20.1, what="the new box")
        page.shoot("map-driver")
        page.page.keyboard.press("Escape")
        page.page.locator("#driver").wait_for(state="hidden")
        # It is where the map was flown to: in the middle of it.
        width, height = 1280, 800
        page.page.set_viewport_size({"width": width, "height": height})
        page.page.mouse.click(*middle_driver(page))
        page.await_text("#driver-id", "page-walker")


def west_of(url: str) -> float:
    return float(url.partition("bbox=")[2].partition(",")[0])


def middle_driver(page: Visit) -> tuple[float, float]:
    """Where the only driver in view is drawn."""
    x, y = page.evaluate(
        """() => {
          const canvas = document.querySelector(".fleet-canvas");
          const { left, top } = canvas.getBoundingClientRect();
          const { data } = canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height);
          let [x, y, full] = [0, 0, 0];
          for (let i = 3; i < data.length; i += 4) {
            if (data[i] === 0) continue;
            const pixel = (i - 3) / 4;
            x += pixel % canvas.width;
            y += Math.floor(pixel / canvas.width);
            full += 1;
          }
          return [left + x / full, top + y / full];
        }"""
    )
    return x, y


def test_an_unknown_driver_and_an_impossible_id(browser: Browser, stack: Stack) -> None:
    # The browser itself notes a 404 on its console.
    with Visit(browser, f"{stack.url}/map", outage=True) as page:
        for wanted, words in (("nobody-1", "No driver nobody-1"), ("<b>x</b>", "An id is 1 to 64")):
            page.page.fill("#wanted", wanted)
            page.page.press("#wanted", "Enter")
            page.await_text("#search-answer", words)
        assert page.page.locator("#search-answer b").count() == 0


def test_keys_alone_reach_a_driver(browser: Browser, stack: Stack) -> None:
    send(stack, spread(20))
    with Visit(browser, f"{stack.url}/map") as page:
        await_count(page, "#in-view", 20)
        page.page.focus("#list summary")
        page.page.keyboard.press("Enter")
        page.page.locator("#drivers button").first.wait_for()
        page.page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.textContent")
        page.page.keyboard.press("Enter")
        page.await_text("#driver-id", name)
        assert page.evaluate("document.activeElement.id") == "driver-id"


def moved_on(page: Visit) -> bool:
    """Press a key, and whether that was enough; one while the map still moves is not heard."""
    page.page.keyboard.press("ArrowUp")
    return page.page.locator("#empty").is_visible()


def test_an_empty_place_says_so(browser: Browser, stack: Stack) -> None:
    send(stack, [{"driver_id": "page-lonely", "latitude": -30, "longitude": -120}])
    with Visit(browser, f"{stack.url}/map", calm=True) as page:
        page.await_text("#link", "Live")
        page.page.fill("#wanted", "page-lonely")
        page.page.press("#wanted", "Enter")
        page.await_true("document.querySelector('#in-view').textContent === '1'")
        page.page.keyboard.press("Escape")
        page.page.focus("#map")
        wait_until(lambda: moved_on(page), what="an empty place")
        page.await_text("#empty", "No drivers here")
        page.shoot("map-empty")


def test_a_close_that_is_final(browser: Browser, stack: Stack) -> None:
    # Clients are promised this code; this server has no cause to send it to a map.
    shown = Visit(browser, f"{stack.url}/map#token=flk_abc", outage=True)
    shown.page.route_web_socket("**/fleet/live**", lambda route: route.close(code=1008))
    with shown as page:
        page.await_text("#empty-title", "No access")
        assert "flk_abc" not in page.page.locator("body").inner_html()
