"""The customer's page in a real browser: every state, reached by causing it."""

import csv
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.clients.browser import Visit, any_browser
from tests.clients.courier import Courier
from tests.freezing import frozen
from tests.stack import Stack, environment
from tests.wait import wait_until

EXAMPLE = Path(__file__).parents[3] / "deploy" / "examples" / "liverpool_bus_route14.csv"
# Records every place and heading that the marker is drawn at.
RECORD = """() => {
  window.drawn = new Set();
  const look = () => {
    const puck = document.querySelector(".puck");
    const arrow = document.querySelector(".puck-arrow");
    if (puck) window.drawn.add(puck.style.transform + arrow.style.transform);
    requestAnimationFrame(look);
  };
  look();
}"""
# Records what a screen reader is told.
LISTEN = """() => {
  window.said = [];
  const region = document.getElementById("announce");
  new MutationObserver(() => window.said.push(region.textContent))
    .observe(region, { childList: true, characterData: true, subtree: true });
}"""


browser = pytest.fixture(scope="module")(any_browser)


def visit(browser: Browser, stack: Stack, order_id: str, *, outage=False, calm=False) -> Visit:
    return Visit(browser, f"{stack.url}/track/{order_id}", outage=outage, calm=calm)


def await_place(page, stack: Stack, order_id: str) -> None:
    """Wait until the page shows the newest position that the API knows."""
    _, newest = stack.request("GET", f"/api/v1/orders/{order_id}/location")
    place = f"{newest['latitude']},{newest['longitude']}"
    page.page.wait_for_selector(f'.puck[data-place="{place}"]')


def test_waiting_then_live_then_old(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack, "page-life") as page:
        page.await_mode("waiting")
        page.evaluate(LISTEN)
        page.shoot("track-waiting")
        with Courier(stack, "page-life"):
            page.await_mode("live")
            page.evaluate(RECORD)
            page.await_true("window.drawn.size > 40")
            assert page.text("#detail").startswith("Updated ")
            assert "34 km/h" in page.text("#facts")
            assert "±18 m" in page.text("#facts")
            assert page.text("#order") == "page-life"
            page.shoot("track-live")
        page.await_mode("old")
        page.await_text("#detail", "Last position")
        assert "km/h" not in page.text("#facts")
        page.shoot("track-old")
        page.await_true("window.said.includes('Position is old')")
        # Changes of state are said, ages are not.
        said = page.evaluate("window.said")
        assert said[-2:] == ["Live", "Position is old"]
        assert len(said) <= 3
        assert len(page.sockets) == 1


def test_the_marker_follows_a_replay_of_the_bus_trace(
    browser: Browser, stack: Stack, tmp_path: Path
) -> None:
    with EXAMPLE.open() as source:
        rows = [row for row in csv.DictReader(source) if row["trip_id"] == "1105"]
    # Half an hour of one bus; under other ids, since another test counts the example's rows.
    rows = [row | {"trip_id": "page-bus", "vehicle_id": "page-bus"} for row in rows[:80]]
    file = tmp_path / "bus.csv"
    with file.open("w") as target:
        table = csv.DictWriter(target, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    with visit(browser, stack, "page-bus") as page:
        page.await_mode("waiting")
        page.evaluate(RECORD)
        replay = subprocess.Popen(
            (
                sys.executable, "-m", "deploy.cli", "replay", str(file),
                "--speed", "200", "--url", stack.url,
            ),
            stdout=subprocess.DEVNULL,
            env=environment(),
        )  # fmt: skip
        try:
            # More places than fixes: it glides.
            page.await_true(f"window.drawn.size > {len(rows)}")
            page.await_true("document.querySelectorAll('.trail-3[d]').length > 0")
            assert replay.wait(30) == 0
        finally:
            replay.kill()
            replay.wait()
        wait_until(lambda: stack.request("GET", "/api/v1/orders/page-bus/location")[0] == 200)
        await_place(page, stack, "page-bus")
        page.await_mode("live")


def test_motion_is_left_out_for_who_wants_none(browser: Browser, stack: Stack) -> None:
    with (
        visit(browser, stack, "page-calm", calm=True) as page,
        Courier(stack, "page-calm") as driver,
    ):
        page.await_mode("live")
        page.evaluate(RECORD)
        sent = driver.sent
        wait_until(lambda: driver.sent >= sent + 5)
        page.await_true("window.drawn.size > 2")
        # One place for each fix, and one for each move of the map.
        assert page.evaluate("window.drawn.size") <= 2 * (driver.sent - sent) + 3


def test_a_lost_connection_is_said_and_comes_back(browser: Browser, stack: Stack) -> None:
    with (
        visit(browser, stack, "page-lost", outage=True) as page,
        Courier(stack, "page-lost", heading=None) as driver,
    ):
        page.await_mode("live")
        page.context.set_offline(True)
        kill_fanout(stack)
        page.await_mode("reconnecting")
        assert page.page.locator("#retry").is_visible()
        page.shoot("track-reconnecting")
        page.page.locator("#retry").click()
        page.await_mode("reconnecting")
        page.context.set_offline(False)
        page.await_mode("live")
        sent = driver.sent
        wait_until(lambda: driver.sent > sent)
        # By a socket again, not by asking.
        page.page.locator("#note").wait_for(state="hidden")


def kill_fanout(stack: Stack) -> int:
    """Kill it; the pid of the next one, which has not started to listen."""
    before = stack.pid("fanout")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: stack.pid("fanout") not in {None, before}, what="the next fan-out")
    after = stack.pid("fanout")
    assert after is not None
    return after


def answers_sockets(stack: Stack) -> bool:
    """Whether the fan-out is there behind the door: it says that this is a WebSocket."""
    return stack.request("GET", "/api/v1/drivers/orders/x/driver-location")[0] == 426


def test_where_sockets_do_not_get_through_it_asks(browser: Browser, stack: Stack) -> None:
    with (
        visit(browser, stack, "page-poll", outage=True) as page,
        Courier(stack, "page-poll") as driver,
    ):
        page.await_mode("live")
        stopped = kill_fanout(stack)
        with frozen(stopped):
            page.await_text("#note", "Live updates are interrupted")
            page.await_mode("live")
            sent = driver.sent
            wait_until(lambda: driver.sent > sent + 2)
            page.await_true("/Updated/.test(document.body.innerText)")
            page.shoot("track-polling")
        wait_until(lambda: answers_sockets(stack), what="the fan-out")
        # Another network, where sockets do: no need to wait for the next try.
        page.context.set_offline(True)
        page.context.set_offline(False)
        page.page.locator("#note").wait_for(state="hidden")
        page.await_mode("live")


def test_the_end_is_the_end(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack, "page-end", outage=True) as page:
        with Courier(stack, "page-end") as driver:
            page.await_mode("live")
            assert stack.request("POST", "/api/v1/orders/page-end/complete")[0] == 202
            page.await_mode("ended")
            assert page.page.locator(".puck").count() == 0
            page.shoot("track-ended")
            sent, requests = driver.sent, len(page.requested)
            page.evaluate("dispatchEvent(new Event('online'))")
            wait_until(lambda: driver.sent > sent + 2)
        assert page.text("#title") == "Tracking has ended"
        assert len(page.requested) == requests
        page.page.reload()
        page.await_mode("ended")


def post_from_before(stack: Stack, order: str, age: timedelta) -> None:
    fix = {
        "latitude": 53.4, "longitude": -2.9, "speed": 20, "order_id": order,
        "recorded_at": (datetime.now(UTC) - age).isoformat(),
    }  # fmt: skip
    assert stack.request("POST", f"/api/v1/drivers/{order}/location", fix)[0] == 202


def test_an_old_snapshot_is_called_old_at_once(browser: Browser, stack: Stack) -> None:
    post_from_before(stack, "page-cold", timedelta(minutes=3))
    with visit(browser, stack, "page-cold") as page:
        page.await_mode("old")
        page.await_text("#detail", "3 min ago")


def test_a_queue_of_yesterday_is_not_shown(browser: Browser, stack: Stack) -> None:
    # Beyond LOCATION_TTL it is nobody's place now, whenever it was delivered.
    post_from_before(stack, "page-queue", timedelta(minutes=12))
    with visit(browser, stack, "page-queue") as page:
        page.await_mode("waiting")
        assert page.page.locator(".puck").count() == 0


@pytest.mark.parametrize("order", ["%3Cimg%20src=x%20onerror=alert(1)%3E", "a%20b", "x" * 65, ""])
def test_an_address_without_an_order_says_so(browser: Browser, stack: Stack, order: str) -> None:
    with visit(browser, stack, order) as page:
        page.await_mode("invalid")
        assert page.page.locator("#card img").count() == 0
        assert page.sockets == []
        if order.startswith("%3C"):
            assert page.text("#order") == "<img src=x onerror=alert(1)>"
            page.shoot("track-invalid")


# Codes that clients are promised and that this server has no cause to send.
@pytest.mark.parametrize(
    ("code", "mode"), [(1008, "denied"), (1009, "denied"), (4999, "denied"), (1013, "waiting")]
)
def test_what_a_close_code_means(browser: Browser, stack: Stack, code: int, mode: str) -> None:
    shown = visit(browser, stack, f"page-code-{code}", outage=True)
    shown.page.route_web_socket("**/driver-location", lambda route: route.close(code=code))
    with shown as page:
        page.await_mode(mode)
        if code == 1013:
            page.await_text("#note", "All places for live updates are taken")


def test_the_token_stays_out_of_addresses_and_sight(browser: Browser, stack: Stack) -> None:
    token = "eyJhbGciOiJI.eyJzdWIiOiJv.c2lnbmF0dXJl-_"
    shown = visit(browser, stack, f"page-token#token={token}", outage=True)
    protocols: list[str] = []
    network = shown.context.new_cdp_session(shown.page)
    network.send("Network.enable")
    network.on(
        "Network.webSocketWillSendHandshakeRequest",
        lambda event: protocols.append(event["request"]["headers"]["Sec-WebSocket-Protocol"]),
    )
    bearers: list[str | None] = []

    def refuse(route) -> None:
        bearers.append(route.request.headers.get("authorization"))
        route.fulfill(status=401, json={"detail": "the token has expired"})

    shown.page.route("**/api/v1/orders/**", refuse)
    with shown as page:
        page.await_mode("waiting")
        assert protocols == [f"fleetline.v1, bearer.{token}"]
        kill_fanout(stack)
        page.await_mode("revoked")
        assert set(bearers) == {f"Bearer {token}"}
        assert token not in page.page.locator("body").inner_html()
        sent = [url.partition("#")[0] for url in page.requested]
        assert not any(token in url for url in sent)
        assert not any("#" in socket.url for socket in page.sockets)
