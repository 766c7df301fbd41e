"""The operators' page of webhooks in a real browser: what is wrong, pause and resume, a test."""

from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser, Locator

from tests.clients.browser import Visit, any_browser
from tests.stack import Stack

browser = pytest.fixture(scope="module")(any_browser)
# An id and a URL as strangers would make them.
NAMED = "page:well"
MARKUP = "http://127.0.0.1:9/%3Cimg%20src=x%20onerror=alert(1)%3E?a=1&b='2'"


class Taker(BaseHTTPRequestHandler):
    """Takes all but what it is asked for at /broken."""

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["content-length"]))
        broken = self.path == "/broken"
        self.send_response(HTTPStatus.BAD_GATEWAY if broken else HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    """The URL of a receiver."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def hooks(stack_session: Stack, receiver: str) -> Iterator[None]:
    """Three webhooks: one that works, one whose server is broken, one of a stranger."""
    urls = {NAMED: f"{receiver}/well", "page-broken": f"{receiver}/broken", "page-odd": MARKUP}
    for name, url in urls.items():
        body = {
            "url": url,
            "events": ["order.delivered"],
            "filter": {"driver_id": "nobody-*"},
            "active": name != "page-odd",
        }
        assert stack_session.request("PUT", f"/api/v1/webhooks/{name}", body)[0] == 201
    yield
    for name in urls:
        assert stack_session.request("DELETE", f"/api/v1/webhooks/{name}")[0] == 204


def card(page: Visit, name: str) -> Locator:
    return page.page.locator(".hook").filter(has=page.page.get_by_role("heading", name=name))


@pytest.mark.usefixtures("hooks")
def test_what_is_wrong_is_seen_and_can_be_paused_tested_and_resumed(
    browser: Browser, stack_session: Stack
) -> None:
    with Visit(browser, f"{stack_session.url}/webhooks") as page:
        well, broken, odd = (card(page, name) for name in (NAMED, "page-broken", "page-odd"))
        well.locator(".hook-state", has_text="On").wait_for()
        odd.locator(".hook-state", has_text="Paused").wait_for()
        # A stranger's text is text.
        assert MARKUP in odd.inner_text()
        assert page.page.locator("#hooks img").count() == 0
        assert odd.get_by_role("button", name="Send a test").is_disabled()
        for each, words in ((well, "Test: Delivered in"), (broken, "Test: Given up: answered 502")):
            each.get_by_role("button", name="Send a test").click()
            each.locator(".hint[role=status]", has_text=words).wait_for()
        # By key: the last deliveries of the broken one, and its failing.
        broken.locator("summary").focus()
        page.page.keyboard.press("Enter")
        broken.locator(".delivery", has_text="webhook.test").wait_for()
        broken.locator(".hook-state", has_text="Failing").wait_for()
        broken.get_by_label("Deliveries of page-broken").select_option("delivered")
        broken.get_by_text("Nothing was sent.").wait_for()
        broken.get_by_label("Deliveries of page-broken").select_option("")
        broken.locator(".delivery").first.wait_for()
        page.shoot("webhooks")
        page.page.set_viewport_size({"width": 360, "height": 740})
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(wide)
        broken.get_by_role("button", name="Pause").click()
        broken.locator(".hook-state", has_text="Paused").wait_for()
        paused = stack_session.request("GET", "/api/v1/webhooks/page-broken")[1]
        kept = {"active": False, "events": ["order.delivered"], "filter": {"driver_id": "nobody-*"}}
        assert {name: paused[name] for name in kept} == kept
        broken.get_by_role("button", name="Resume").click()
        broken.get_by_role("button", name="Pause").wait_for()
        assert stack_session.request("GET", "/api/v1/webhooks/page-broken")[1]["active"]
