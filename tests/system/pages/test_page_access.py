"""Both pages on a closed stack: links that end, that never worked, and a server that is full."""

import contextlib
import time
from collections.abc import Iterator

import jwt
import pytest
from playwright.sync_api import Browser

from common.access.claims import new_claims
from common.access.policy import Role
from tests.clients.browser import TIMEOUT_MS, Visit, any_browser
from tests.clients.courier import Courier
from tests.clients.crowd import Crowd
from tests.stack import LIVE, Stack, fleetline, new_home
from tests.system.conftest import QUICK

# Few, so that few fill it; enough for a page of each kind, and a map that looks elsewhere.
PLACES = 4

browser = pytest.fixture(scope="module")(any_browser)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A closed stack; requests of tests are a backend's."""
    with new_home() as home:
        extra = {
            **QUICK,
            "FANOUT_CONNECTIONS_MAX": str(PLACES),
            # All tests are one address, and most of them are refused.
            "REFUSALS_PER_ADDRESS_MAX": "0",
        }
        with Stack(home, "--auth", *LIVE, extra=extra) as running:
            running.token = new_token(running, Role.GATEWAY, "shop")
            yield running


def new_token(stack: Stack, role: Role, subject: str, ttl_s: float = 3600.0) -> str:
    """As `fleetline token create` makes it; a command would take a second to start."""
    claims = new_claims(role, subject, "fleetline", now=time.time(), ttl_s=ttl_s)
    secret = (stack.home / "auth.secret").read_text().strip()
    return jwt.encode(claims, secret, algorithm="HS256")


def revoke(stack: Stack, subject: str) -> None:
    done = fleetline("token", "revoke", "--home", str(stack.home), "--subject", subject)
    assert done.returncode == 0, done.stderr


def new_link(stack: Stack, order_id: str) -> str:
    status, answer = stack.request("POST", f"/api/v1/orders/{order_id}/tracking-token")
    assert status == 200
    link: str = answer["url"]
    return link


def map_link(stack: Stack, token: str) -> str:
    return f"{stack.url}/map#token={token}"


def visit(browser: Browser, link: str) -> Visit:
    # A refused handshake stands on the browser's console. What moves is looked at elsewhere: while
    # anything is waited for, drawing it takes a core.
    return Visit(browser, link, outage=True, calm=True)


def await_end_of_map(page: Visit, title: str) -> None:
    page.await_text("#empty-title", title)
    # Nothing is shown to who may not see it, and nothing is offered that cannot work.
    assert not page.page.locator("#search").is_visible()
    assert not page.page.locator("#health").is_visible()
    assert page.evaluate("document.body.classList.contains('over')")


def test_links_that_expire_while_they_are_watched(browser: Browser, stack: Stack) -> None:
    with Courier(stack, "page-expires"), contextlib.ExitStack() as pages:
        began_s = time.monotonic()
        with visit(browser, new_link(stack, "page-expires")) as page:
            page.await_mode("live")
        # Time to open both pages and see that they work, as this machine is now.
        ttl_s = 2 + 4 * (time.monotonic() - began_s)
        tracker = new_token(stack, Role.TRACKER, "page-expires", ttl_s)
        operator = new_token(stack, Role.OPERATOR, "map-expires", ttl_s)
        page = pages.enter_context(
            visit(browser, f"{stack.url}/track/page-expires#token={tracker}")
        )
        operators = pages.enter_context(visit(browser, map_link(stack, operator)))
        page.await_mode("live")
        operators.await_text("#link", "Live")
        operators.await_true("Number(document.querySelector('#in-all').textContent) >= 1")
        page.await_mode("expired")
        assert page.text("#title") == "This link has expired"
        assert page.page.locator(".puck").count() == 0
        assert len(page.sockets) == 1
        await_end_of_map(operators, "This link has expired")
        page.shoot("track-expired")
        operators.shoot("map-expired")
        # And a person who opens them later.
        page.page.reload()
        operators.page.reload()
        page.await_mode("expired")
        await_end_of_map(operators, "This link has expired")


def test_a_link_that_is_revoked_while_it_is_watched(browser: Browser, stack: Stack) -> None:
    link = new_link(stack, "page-revoked")
    with Courier(stack, "page-revoked"):
        with visit(browser, link) as page:
            page.await_mode("live")
            revoke(stack, "page-revoked")
            page.await_mode("revoked")
            assert page.text("#title") == "This link no longer works"
            assert page.page.locator(".puck").count() == 0
            assert link.partition("=")[2] not in page.page.locator("body").inner_html()
            page.shoot("track-revoked")
            page.page.reload()
            page.await_mode("revoked")
        # A new one is what the page tells to ask for.
        with visit(browser, new_link(stack, "page-revoked")) as page:
            page.await_mode("live")


def test_a_map_whose_token_is_revoked(browser: Browser, stack: Stack) -> None:
    token = new_token(stack, Role.OPERATOR, "map-revoked")
    with Courier(stack, "page-map-revoked"), visit(browser, map_link(stack, token)) as page:
        page.await_text("#link", "Live")
        page.await_true("Number(document.querySelector('#in-all').textContent) >= 1")
        revoke(stack, "map-revoked")
        await_end_of_map(page, "This link no longer works")
        page.shoot("map-revoked")
        page.page.reload()
        await_end_of_map(page, "This link no longer works")


def test_a_link_for_another_order(browser: Browser, stack: Stack) -> None:
    link = new_link(stack, "page-mine").replace("/track/page-mine", "/track/page-yours")
    with Courier(stack, "page-yours"), visit(browser, link) as page:
        page.await_mode("denied")
        assert page.text("#title") == "No access to this order"
        page.shoot("track-denied")


def test_a_map_with_the_token_of_a_driver(browser: Browser, stack: Stack) -> None:
    link = map_link(stack, new_token(stack, Role.DRIVER, "page-driver"))
    with visit(browser, link) as page:
        await_end_of_map(page, "No access to the fleet map")
        page.shoot("map-denied")


def test_links_that_lost_their_token(browser: Browser, stack: Stack) -> None:
    for end in ("", "#token=", "#token=a%20b"):
        with visit(browser, f"{stack.url}/track/page-cut{end}") as page:
            page.await_mode("incomplete")
            assert page.text("#title") == "This link is not complete"
    with visit(browser, new_link(stack, "page-cut")[:-20]) as page:
        page.await_mode("revoked")
        page.await_text("#detail", "or is not complete")
    with visit(browser, f"{stack.url}/map") as page:
        await_end_of_map(page, "This map needs a link of its own")


def test_a_full_server_is_asked_until_it_has_room(browser: Browser, stack: Stack) -> None:
    # One token may have half of all places.
    tokens = [new_token(stack, Role.OPERATOR, name) for name in ("crowd", "more", "map")]
    with (
        Courier(stack, "page-full"),
        Crowd(stack, "page-full", *tokens[:2]) as crowd,
        visit(browser, new_link(stack, "page-full")) as page,
        visit(browser, map_link(stack, tokens[2])) as operators,
    ):
        assert crowd.sockets
        page.await_text("#note", "All places for live updates are taken")
        page.await_mode("live")
        assert page.page.locator(".puck").count() == 1
        operators.await_text("#link", "No place free")
        operators.await_text("#empty-title", "All places for live updates are taken")
        page.shoot("track-full")
        operators.shoot("map-full")
        crowd.leave()
        # By itself, and by a socket; a full server is not pressed, so that may take a while.
        page.page.locator("#note").wait_for(state="hidden", timeout=3 * TIMEOUT_MS)
        page.await_mode("live")
        assert not page.sockets[-1].is_closed()
        operators.page.locator("#link", has_text="Live").wait_for(timeout=3 * TIMEOUT_MS)


def test_the_fleets_day_wants_an_operators_link(browser: Browser, stack: Stack) -> None:
    desk = new_token(stack, Role.OPERATOR, "desk-day")
    # A day of which nothing is known, whatever other tests have sent today.
    with Visit(browser, f"{stack.url}/fleet#token={desk}&day=2020-01-01") as page:
        page.await_text("#state", "Nothing was recorded on this day")
        # The token goes along with a click, and stands nowhere in the page.
        assert desk not in page.page.content()
        page.page.click("#map-link")
        page.await_text("#link", "Live")
        assert desk not in page.page.content()
        page.page.click("#fleet-link")
        page.page.locator("#date").wait_for()
        loading = page.page.locator("#state").filter(has_text="Loading")
        loading.wait_for(state="hidden")
    for token, words in (
        (new_token(stack, Role.GATEWAY, "shop-day"), "not made for operators"),
        ("flk_nothing", "no longer works"),
    ):
        with Visit(browser, f"{stack.url}/fleet#token={token}", outage=True) as page:
            page.await_text("#state", words)
            page.page.locator("#drivers").wait_for(state="hidden")


def test_webhooks_want_an_operators_link(browser: Browser, stack: Stack) -> None:
    desk = new_token(stack, Role.OPERATOR, "desk-hooks")
    with Visit(browser, f"{stack.url}/map#token={desk}") as page:
        page.page.click("#webhooks-link")
        page.await_text("#state", "There are no webhooks yet")
        # The token goes along with a click, and stands nowhere in the page.
        assert desk not in page.page.content()
    for token, words in (
        (new_token(stack, Role.DRIVER, "page-hooks"), "not made for"),
        ("flk_nothing", "no longer works"),
    ):
        with Visit(browser, f"{stack.url}/webhooks#token={token}", outage=True) as page:
            page.await_text("#state", words)
            assert page.page.locator("#hooks li").count() == 0
