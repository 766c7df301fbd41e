"""The customer's page of an order that was registered, in a real browser."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from tests.clients.browser import Visit, any_browser
from tests.clients.courier import Courier
from tests.stack import Stack
from tests.wait import wait_until

browser = pytest.fixture(scope="module")(any_browser)


def test_an_order_says_how_far_it_is_and_how_it_ended(browser: Browser, stack: Stack) -> None:
    path = "/api/v1/orders/page-order"
    order = {
        "driver_id": "courier-page-order",
        "pickup": {"latitude": 53.4045, "longitude": -2.9916},
        "dropoff": {"latitude": 53.4062, "longitude": -2.9870},
        "promised_at": (datetime.now(UTC) + timedelta(minutes=20)).isoformat(),
    }
    wait_until(lambda: stack.request("PUT", path, order)[0] in {200, 201})
    with Visit(browser, f"{stack.url}/track/page-order") as page:
        page.await_text("#stage", "A driver is on the way to the pick-up")
        page.await_text("#stage", "promised by")
        assert page.page.locator(".end").count() == 2
        assert page.page.locator("#way .done").count() == 1
        with Courier(stack, "page-order"):
            page.await_mode("live")
            assert stack.request("POST", f"{path}/state", {"state": "picked_up"})[0] == 200
            # It asks twice a minute, and when somebody looks again.
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            page.await_text("#stage", "Picked up, on its way to you")
            page.shoot("track-order")
            assert stack.request("POST", f"{path}/complete")[0] == 202
        page.await_mode("ended")
        page.await_text("#title", "Delivered")
        page.await_text("#detail", "Your order was delivered at")
        assert page.page.locator("#stage").is_hidden()
        page.shoot("track-delivered")
