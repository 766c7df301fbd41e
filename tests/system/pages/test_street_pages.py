"""Streets under the drivers, in a real browser: drawn, named, thanked for, in either scheme."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

from deploy.stack.home import Home
from deploy.stack.streets import StreetMap, read_index, streets_folder
from deploy.streets.build import build_streets, remove_streets
from tests.clients.browser import Visit, any_browser
from tests.clients.courier import Courier
from tests.stack import Stack
from tests.town import HOSTILE_NAMES, town
from tests.wait import wait_until

browser = pytest.fixture(scope="module")(any_browser)


@pytest.fixture(scope="module")
def town_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return town(tmp_path_factory.mktemp("extract") / "town.osm.pbf", HOSTILE_NAMES)


@pytest.fixture
def streets(stack: Stack, town_file: Path) -> Iterator[StreetMap]:
    """A map of the town, built while the stack runs; the other tests have their bare grid."""
    street_map, _ = build_streets(Home(stack.home), town_file, "town")
    yield street_map
    remove_streets(Home(stack.home), "town")


def answer_of(url: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_the_front_door_serves_index_and_tiles(stack: Stack, streets: StreetMap) -> None:
    status, headers, body = answer_of(f"{stack.url}/streets/index.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert headers["Cache-Control"] == "no-cache"
    index = json.loads(body)
    assert index["attribution"] == "© OpenStreetMap contributors"
    assert [one["build"] for one in index["maps"]] == [streets.build]
    folder = streets_folder(Home(stack.home)) / streets.build
    tile = next(folder.glob("14/*/*"))
    path = f"/streets/{streets.build}/{tile.relative_to(folder)}"
    status, headers, body = answer_of(stack.url + path)
    assert (status, body) == (200, tile.read_bytes())
    assert headers["Content-Type"] == "application/vnd.mapbox-vector-tile"
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert headers["X-Content-Type-Options"] == "nosniff"
    # Where nothing is to be seen there is no file, and that does not change either.
    status, headers, body = answer_of(f"{stack.url}/streets/{streets.build}/14/1/1")
    assert (status, body) == (204, b"")
    assert "immutable" in headers["Cache-Control"]
    gone = streets.build[:-8] + "0" * 8
    for wrong in (
        f"/streets/{gone}/14/1/1",
        f"/streets/{streets.build}/14/1/../../../lock",
        f"/streets/{streets.build}/14/1",
        "/streets/lock",
        "/streets/",
        f"/streets/{streets.build}/14/1/%2e%2e",
    ):
        status, _, body = answer_of(stack.url + wrong)
        assert status in {400, 404}, wrong
        assert json.loads(body)["type"].startswith("/problems/")


def test_without_a_map_there_is_nothing_to_ask_for(stack: Stack) -> None:
    assert read_index(streets_folder(Home(stack.home))).maps == ()
    status, _, body = answer_of(f"{stack.url}/streets/index.json")
    assert status == 204 or json.loads(body)["maps"] == []


# The points of a canvas, of a copy that is made to be read.
PIXELS = """(canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height);
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  }"""
# The colours of all tiles that are shown.
COLOURS = f"""() => {{
  const pixels = {PIXELS};
  const seen = new Set();
  for (const canvas of document.querySelectorAll("canvas.leaflet-tile")) {{
    if (canvas.width < 512) continue;
    const data = pixels(canvas);
    for (let i = 0; i < data.length; i += 4) {{
      seen.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
    }}
  }}
  return [...seen].map((colour) => `#${{colour.toString(16).padStart(6, "0")}}`);
}}"""
# How many points are written on.
WRITTEN = f"""() => {{
  const canvas = document.querySelector(".street-names");
  return canvas === null ? 0 : ({PIXELS})(canvas).filter((v, i) => i % 4 === 3 && v > 0).length;
}}"""


def assert_drawn(page: Visit, water: str, building: str) -> None:
    page.await_true(f"({COLOURS})().includes('{water}')")
    assert building in page.evaluate(COLOURS)
    page.await_true(f"({WRITTEN})() > 2000")


def test_the_customer_sees_streets(browser: Browser, stack: Stack, streets: StreetMap) -> None:
    address = f"{stack.url}/track/street-order"
    with Courier(stack, "street-order"), Visit(browser, address) as page:
        page.await_mode("live")
        page.await_text(".leaflet-control-attribution", "© OpenStreetMap contributors")
        assert page.evaluate(
            "document.querySelector('.leaflet-control-attribution a').href"
        ) == "https://www.openstreetmap.org/copyright"  # fmt: skip
        for scheme, water, building in (
            ("light", "#bcd3e2", "#dadee2"), ("dark", "#0f2a3d", "#222a33"),
        ):  # fmt: skip
            page.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert_drawn(page, water, building)
        # The names of this town are hostile; they are words on a canvas.
        assert page.evaluate("document.querySelectorAll('img').length") == 0
        page.shoot("streets-track")


def test_operators_see_streets_and_a_new_build(
    browser: Browser, stack: Stack, streets: StreetMap, town_file: Path
) -> None:
    courier = Courier(stack, "street-order-2")
    with courier, Visit(browser, f"{stack.url}/map", outage=True) as page:
        page.await_text("#link", "Live")
        page.await_true(f"({COLOURS})().length > 5")
        # Its tiles are gone under the open page, which finds the new ones by itself.
        again, _ = build_streets(Home(stack.home), town_file, "town")
        page.page.locator(".leaflet-control-zoom-out").click()

        def asked_anew() -> bool:
            # Requests are only heard of during a call.
            page.evaluate("0")
            return any(f"/streets/{again.build}/" in url for url in page.requested)

        wait_until(asked_anew, timeout_s=20, what="tiles of the new build")
        page.await_true(f"({COLOURS})().length > 5")


def test_a_tile_server_that_is_named_wins(
    browser: Browser, stack: Stack, streets: StreetMap
) -> None:
    def named(route: Route) -> None:
        settings = route.fetch().json() | {"tile_url": "/tiles/{z}/{x}/{y}.png"}
        route.fulfill(json=settings)

    visit = Visit(browser, f"{stack.url}/map", outage=True)
    visit.page.route("**/assets/config.json", named)
    with visit as page:
        page.await_text("#link", "Live")
        page.await_true("document.querySelector('.has-tiles') !== null")
        assert page.evaluate("document.querySelector('.has-streets')") is None
        assert not any("/streets/" in url for url in page.requested)
