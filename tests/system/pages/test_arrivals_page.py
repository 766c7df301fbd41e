"""When the driver will be there, as the customer's page says it, in a real browser."""

import pytest
from playwright.sync_api import Browser

from tests.clients.browser import Visit, any_browser
from tests.clients.courier import Courier
from tests.stack import Stack
from tests.system.test_arrivals import ordered

browser = pytest.fixture(scope="module")(any_browser)


def test_the_page_says_when_the_driver_is_there(browser: Browser, stack: Stack) -> None:
    path = ordered(stack, "arrives")
    with Visit(browser, f"{stack.url}/track/arrives") as page:
        page.await_mode("waiting")
        assert page.page.locator("#arrival").is_hidden()
        with Courier(stack, "arrives"):
            page.await_mode("live")
            page.await_text("#arrival", "arrives in ")
            page.await_text("#arrival", " min")
            page.shoot("track-arrival")
        # Nobody knows when a driver comes who is not seen to move.
        page.await_mode("old")
        assert page.page.locator("#arrival").is_hidden()
        with Courier(stack, "arrives"):
            page.await_mode("live")
            page.await_text("#arrival", "arrives in ")
            assert stack.request("POST", f"{path}/complete")[0] == 202
        page.await_mode("ended")
        assert page.page.locator("#arrival").is_hidden()
