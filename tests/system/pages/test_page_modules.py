"""The pages' pure modules, in the engine that runs them."""

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.clients.browser import any_browser
from tests.stack import Stack
from tests.system.pages.track_cases import TRACK

FIX = (
    "{driverId: 'd', orderId: null, latitude: 1, longitude: 2, speed: null, heading: null,"
    " accuracy: null, atMs: %d}"
)
STATE = "m.INITIAL"
# What happened to the page, and the state that the customer sees. Times in ms; old after 60 s.
STORIES = {
    "": "connecting",
    "opened": "waiting",
    "opened fix": "live",
    "opened fix wait": "old",
    "opened fix lost": "reconnecting",
    "opened fix lost connecting": "reconnecting",
    "opened fix lost opened": "live",
    "opened fix lost lost lost": "reconnecting",
    # Sockets are blocked where requests get through and they do not.
    "lost found lost found": "reconnecting",
    "lost found lost found lost found": "live",
    "lost nothing lost nothing lost nothing": "waiting",
    "lost found lost found lost found unreachable": "reconnecting",
    "lost found lost found lost found lost": "live",
    # A full server of sockets says so, and the position is asked for at once.
    "lost full-found": "live",
    "lost full-found found": "live",
    "lost full-found lost full-found unreachable": "reconnecting",
    "lost full-nothing": "waiting",
    # One that is not there is most often back at once.
    "lost away-found": "reconnecting",
    "lost away-found lost away-found": "live",
    # A network that was down says nothing about sockets.
    "lost lost lost unreachable lost found": "reconnecting",
    "lost lost nothing": "reconnecting",
    "full": "busy",
    "full nothing": "busy",
    "lost overloaded": "busy",
    "full opened": "waiting",
    "opened fix ended": "ended",
    "opened fix closed-4000": "ended",
    "opened fix ended lost opened fix": "ended",
    "lost over": "ended",
    "opened closed-4003": "expired",
    "lost unknown": "revoked",
    "lost forbidden": "denied",
    "opened closed-1008": "denied",
    "opened closed-4242": "denied",
    "opened closed-3999": "reconnecting",
    "invalid": "invalid",
}
EVENTS = {
    "opened": "{type: 'opened'}",
    "connecting": "{type: 'connecting'}",
    "fix": "{type: 'fix', fix: %s}" % (FIX % 1_000),
    "lost": "{type: 'closed', code: 1006, livedMs: 0}",
    "full": "{type: 'closed', code: 1013, livedMs: 0}",
    "ended": "{type: 'ended'}",
    "invalid": "{type: 'invalid'}",
    "found": "{type: 'answered', status: 200, problem: null, fix: %s}" % (FIX % 900),
    "nothing": "{type: 'answered', status: 404, problem: '/problems/no-position', fix: null}",
    "over": "{type: 'answered', status: 404, problem: '/problems/tracking-ended', fix: null}",
    "full-found": "{type: 'answered', status: 200, problem: null, fix: %s, sockets: 'full'}"
    % (FIX % 900),
    "full-nothing": "{type: 'answered', status: 404, problem: null, fix: null, sockets: 'full'}",
    "away-found": "{type: 'answered', status: 200, problem: null, fix: %s, sockets: 'away'}"
    % (FIX % 900),
    "closed-4003": "{type: 'closed', code: 4003, livedMs: 9e3, refusal: 'expired'}",
    "unknown": "{type: 'answered', status: 401, problem: null, fix: null, refusal: 'revoked'}",
    "forbidden": "{type: 'answered', status: 403, problem: null, fix: null}",
    "overloaded": "{type: 'answered', status: 503, problem: null, fix: null}",
    "unreachable": "{type: 'answered', status: 0, problem: null, fix: null}",
}
CASES: list[tuple[str, str, Any]] = [
    ("core/age.js", "[0.4, 4.9, 60, 7300, 90000, 2e5].map(m.ageText)",
     ["just now", "4 s ago", "1 min ago", "2 h ago", "1 day ago", "2 days ago"]),
    ("core/age.js", "[-5, 3200, 61e3].map(m.waitText)", ["now", "4 s", "2 min"]),
    ("core/age.js", "[m.speedText(null), m.speedText(31.6)]", [None, "32 km/h"]),
    ("core/age.js", "[4.6, 1240, null].map(m.accuracyText)", ["±5 m", "±1.2 km", None]),
    ("core/age.js", "[0, 1234567, null].map(m.countText)", ["0", "1\u202f234\u202f567", "\u2013"]),
    ("core/backoff.js", ("[0, 1, 3, 30].map(n => m.retryDelayMs(n, {random: () => 0.999999}))"
     ".map(Math.round)"), [500, 1000, 4000, 15000]),
    ("core/backoff.js", "m.retryDelayMs(9, {random: () => 0})", 250),
    ("core/backoff.js", "m.retryDelayMs(0, {busy: true, random: () => 0.5})", 2500),
    ("core/backoff.js", "[0, 0.5].map(r => m.jittered(1000, () => r))", [750, 1000]),
    ("core/geo.js", "[[350, 10], [10, 350], [0, 180], [90, 90]].map(p => m.shortestArc(...p))",
     [20, -20, 180, 0]),
    ("core/geo.js", ("Math.round(m.distanceM({latitude: 0, longitude: 179.5},"
     " {latitude: 0, longitude: -179.5}) / 1000)"), 111),
    ("core/geo.js", ("m.between({latitude: 0, longitude: 179},"
     " {latitude: 2, longitude: -179}, 0.75)"),
     {"latitude": 1.5, "longitude": -179.5}),
    ("core/geo.js", "[0, 44, 359.9, 292.6].map(m.direction)",
     ["north", "north-east", "north", "north-west"]),
    ("core/geo.js", ("Math.round(m.bearing({latitude: 0, longitude: 0},"
     " {latitude: 0, longitude: -1}))"), 270),
    ("core/glide.js", ("[0, 500, 1000, 5000].map(t => m.placeAt(m.newGlide("
     "{latitude: 0, longitude: 0, heading: 350}, {latitude: 1, longitude: 2, heading: 20},"
     " 1000, 0), t)).map(p => [p.latitude, p.longitude, p.heading, p.done])"),
     [[0, 0, 350, False], [0.5, 1, 20, False], [1, 2, 20, True], [1, 2, 20, True]]),
    ("core/glide.js", ("[[null, 900], [900, 1100], [1000, 1e6], [300, 0]]"
     ".map(p => m.nextDurationMs(...p))"), [900, 1000, 10000, 250]),
    # 1.1 km: in a second nobody drives it, in a minute everybody may.
    ("core/glide.js", ("[1, 60].map(s => m.isJump({latitude: 0, longitude: 0},"
     " {latitude: 0.01, longitude: 0}, s))"), [True, False]),
    ("core/glide.js", ("[m.headingOf({heading: 12}, null, null),"
     " m.headingOf({heading: null, latitude: 0, longitude: 1}, {latitude: 0, longitude: 0}, 5),"
     " m.headingOf({heading: null, latitude: 0, longitude: 0}, {latitude: 0, longitude: 0}, 5)]"
     ".map(Math.round)"), [12, 90, 5]),
    ("core/link.js", ("['/track/a.b_c:d-1', '/track/', '/track', '/track/a%20b',"
     " '/track/%E0%A4%A'].map(m.orderOf).map(o => o.id)"), ["a.b_c:d-1", None, None, None, None]),
    ("core/link.js", "['', '#token=abc.d-e_f', '#token=', '#token=a%20b'].map(m.tokenOf)",
     [None, "abc.d-e_f", "", ""]),
    ("core/link.js", "[m.protocolsFor(null), m.protocolsFor('t')]",
     [["fleetline.v1"], ["fleetline.v1", "bearer.t"]]),
    # The payload is {"exp":100}; a page's clock may be 5 s slow.
    ("core/link.js", ("[[null, 0], ['', 0], ['flk_a', 1e9], ['a.eyJleHAiOjEwMH0.b', 94e3],"
     " ['a.eyJleHAiOjEwMH0.b', 95e3], ['a.%.b', 9e9]].map(p => m.refusalOf(...p))"),
     ["incomplete", "incomplete", "revoked", "revoked", "expired", "revoked"]),
    *TRACK,
    ("core/fix.js", ("[null, 5, {}, {latitude: '1', longitude: 2, recorded_at: '2026-01-01Z'},"
     " {latitude: 1, longitude: 2, recorded_at: 'never'}].map(m.readFix)"), [None] * 5),
    # Dated an hour ahead: it counts as of its arrival.
    ("core/fix.js", ("m.readFix({latitude: 1, longitude: 2, recorded_at: '1970-01-01T01:00:09Z',"
     " received_at: '1970-01-01T00:00:09Z'}).atMs"), 9000),
    ("core/mercator.js", "m.boxOf({west: 170, south: -10, east: 200, north: 95})",
     "170,-10,-160,90"),
    ("core/mercator.js", "m.boxOf({west: -300, south: -80, east: 300, north: 80})",
     "-180,-80,180,80"),
    ("core/mercator.js", ("[m.project({latitude: 0, longitude: 0}),"
     " m.project({latitude: 89, longitude: 180})].map(p => [p.x, Math.round(p.y * 1e6)])"),
     [[0.5, 500000], [1, 0]]),
    ("core/link.js", ("['#driver=a.b&day=2026-03-01', '#token=t', '#driver=a%20b'].map(m.askedOf)"
     ".map(o => [o.driver, o.day])"), [["a.b", "2026-03-01"], [None, None], [None, None]]),
    ("core/day.js", "[45, 719, 11100].map(m.durationText)", ["45 s", "12 min", "3 h 05 min"]),
    ("core/day.js", "[849.6, 12400, 1204000].map(m.distanceText)",
     ["850 m", "12.4 km", "1\u202f204 km"]),
    ("core/day.js", ("['2026-03-01', '2026-02-30', 'x'].map(m.spanOf)"
     ".map(s => s && s.endMs - s.startMs)"),
     [86_400_000, None, None]),
    ("core/day.js", "[m.dayAfter('2026-03-01', -1), m.dayAfter('2025-12-31', 1)]",
     ["2026-02-28", "2026-01-01"]),
    ("map/timeline.js", ("(t => [t.map(e => e.kind), t[1].detail, t[0].left, t[1].width])("
     "m.timelineOf([{geometry: null, properties: {start_time: '2026-03-01T12:00:00Z',"
     " end_time: '2026-03-01T18:00:00Z', open: false, duration_s: 21600, distance_m: 5,"
     " max_speed: null}}], [{start_time: '2026-02-28T12:00:00Z', end_time: '2026-03-01T06:00:00Z',"
     " open: false, duration_s: 64800}],"
     " {startMs: Date.UTC(2026, 2, 1), endMs: Date.UTC(2026, 2, 2)}))"),
     [["stop", "trip"], "5 m \u00b7 6 h 00 min", 0, 0.25]),
    ("map/timeline.js",
     "[null, {type: 'LineString', coordinates: [[2, 1], [4, 3]]}].map(m.linesOf)",
     [[], [[[1, 2], [3, 4]]]]),
    ("fleet/model.js", ("['driver_id', 'x'].map(key => m.sorted([{driver_id: 'b', x: null},"
     " {driver_id: 'a', x: 1}, {driver_id: 'c', x: 2}], key, true).map(d => d.driver_id))"),
     [["c", "b", "a"], ["c", "a", "b"]]),
    ("fleet/model.js", ("m.hoursOf([{start_time: '1970-01-01T02:00:00Z', distance_m: 5},"
     " {start_time: '1970-01-03T00:00:00Z', distance_m: 9}], {startMs: 0, endMs: 1.08e7})"),
     [0, 0, 5]),
    ("fleet/model.js", "m.sparkline([0, 10], 100, 12)", "M0.0,11.0L100.0,1.0"),
    ("fleet/model.js", "[m.shadeOf(1, 1), m.shadeOf(9, 9)].map(x => Math.round(x * 100))",
     [60, 85]),
    ("webhooks/model.js", ("[{active: true}, {active: true, failing_since: '1970-01-01T00:00:00Z'},"
     " {active: false, disabled_reason: 'gone'}, {active: false, disabled_reason: null}]"
     ".map(h => m.stateOf({failing_since: null, ...h}, 5e3)).map(s => `${s.tone}: ${s.text}`)"),
     ["good: On", "warn: Failing, first 5 s ago",
      "bad: Switched off: its server answered 410 Gone", ": Paused"]),
    ("webhooks/model.js", ("[{state: 'delivered', took_ms: 12, attempts: 2}, {state: 'waiting'},"
     " {state: 'waiting', attempts: 1, error: 'status', status: 502,"
     " next_attempt_at: '1970-01-01T00:01:00Z'}, {state: 'dead', error: 'new_word'}]"
     ".map(d => m.deliveryOf({type: 't', driver_id: 'd', error: null, attempted_at: null,"
     " created_at: '1970-01-01T00:00:00Z', ...d}, 2e3)).map(d => [d.title, d.text, d.when])"),
     [["t \u00b7 d", "Delivered in 12 ms, try 2", "2 s ago"],
      ["t \u00b7 d", "Waits to be sent", "2 s ago"],
      ["t \u00b7 d", "Try 1 failed: answered 502; again in 58 s", "2 s ago"],
      ["t \u00b7 d", "Given up: new_word", "2 s ago"]]),
    ("map/health.js", "m.healthView(0, null).tone", "bad"),
    ("map/health.js", "m.healthView(200, {status: 'ok'}).parts", []),
    ("map/health.js", ("m.slowest([{shard: 0, backlog: 1, pending: 2}, {shard: 1, backlog: 9},"
     " {shard: 2, backlog: null, pending: null}]).shard"), 1),
    ("map/health.js", ("(v => [v.tone, v.parts.map(p => p.tone), v.numbers.at(-1)])(m.healthView("
     "200, {status: 'degraded', redis: 'up', database: 'down', backlog: 5, dead_letters: 2,"
     " shards: [{shard: 0, backlog: 5, pending: 0, consumer: 'up'}]}))"),
     ["warn", ["good", "bad", "good"], ["Dead letters", "2"]]),
    ("map/health.js", ("[null, 40, 3e3, 7300, 2e5].map(s => m.healthView(200, {status: 'ok', redis:"
     " 'up', backlog: 5, shards: [], room: {lasts_s: s}}).numbers.at(-2)[1])"),
     ["5", "40 s", "50 min", "2 h", "2 days"]),
    # Fences: a ring across 180° is unwound for the map, and written as it came.
    ("map/fences/shapes.js", ("(f => [f.shape.parts[0][0], m.geometryOf(f.shape).coordinates[0]])("
     "m.readFence({geofence_id: 'f', name: 'f', active: true, radius_m: null, width_m: null,"
     " geometry: {type: 'Polygon', coordinates: [[[179, 0], [-179, 0], [-179, 2], [179, 0]]]}}))"),
     [[[179, 0], [181, 0], [181, 2]], [[179, 0], [-179, 0], [-179, 2], [179, 0]]]),
    ("map/fences/shapes.js", ("(s => [[-179.5, 0.4], [180.5, 0.4], [179.9, 1.9], [0, 0.4]]"
     ".map(([lng, lat]) => m.holds(s, {lat, lng})))({kind: 'area',"
     " parts: [[[[179, 0], [181, 0], [181, 2]]]]})"), [True, True, False, False]),
    ("map/fences/shapes.js", ("(s => [[1, 1], [2, 2], [9, 9]].map(([lng, lat]) =>"
     " m.holds(s, {lat, lng})))({kind: 'area', parts: [[[[0, 0], [4, 0], [4, 4], [0, 4]],"
     " [[1.5, 1.5], [2.5, 1.5], [2.5, 2.5], [1.5, 2.5]]]]})"), [True, False, False]),
    ("map/fences/shapes.js", ("[[0.4, 0], [0.6, 0], [0, 359.6]].map(([lat, lng]) => m.holds("
     "{kind: 'circle', parts: [[[[0, 0]]]], radiusM: 55e3}, {lat, lng}))"), [True, False, True]),
    ("map/fences/shapes.js", ("[0.0004, 0.0006].map(lat => m.holds({kind: 'corridor',"
     " parts: [[[[0, 0], [1, 0]]]], widthM: 100}, {lat, lng: 0.5}))"), [True, False]),
    ("map/fences/shapes.js", ("(s => [m.withCorner(s, [0, 0, 2], [0, 1]).parts[0][0].length,"
     " m.withoutCorner(s, [0, 0, 1]) === s, m.withPoint(s, [0, 0, 1], [9, 99]).parts[0][0][1],"
     " m.edgesOf(s).map(e => e.point)])({kind: 'area', parts: [[[[0, 0], [2, 0], [2, 2]]]]})"),
     [4, True, [9, 90], [[1, 0], [2, 1], [1, 1]]]),
    # Moved to the north it keeps its width in metres.
    ("map/fences/shapes.js", ("m.boxOf(m.movedTo({kind: 'area', parts: [[[[-1, -1], [1, -1],"
     " [1, 1], [-1, 1]]]]}, [10, 60]))"), {"west": 8, "south": 59, "east": 12, "north": 61}),
    ("map/fences/shapes.js", "['Depot Nord!', '\u00e4\u00f6'].map(n => m.newId(n, () => 0))",
     ["depot-nord-00000", "fence-00000"]),
    ("map/rate.js", ("(r => { r.add(10, 500); r.add(10, 5200);"
     " return [r.perSecond(5400), r.perSecond(5600), r.perSecond(99999)]; })(new m.Rate(0))"),
     [4, 2, 0]),
    # Streets: a name stands where a line is straight, read from the left, or nowhere.
    ("streets/placing.js", ("[[0, 0, 200, 0], [200, 0, 0, 0], [0, 0, 50, 50, 100, 0],"
     " [0, 0, 50, 0]].map(path => m.placesOnLine(path, 80, 12)"
     ".map(s => s[0] ?? null))"),
     [[{"x": 100, "y": 0, "angle": 0}], [{"x": 100, "y": 0, "angle": 0}], [None], []]),
    ("streets/placing.js", ("(r => [0, 5, 30].map(y => r.take({x: y, y, half: 40, height: 12,"
     " angle: 0})))(new m.Room())"), [True, False, True]),
    ("streets/words.js", "['Church of Saint Mary the Virgin', 'Vaduz', ''].map(m.linesOf)",
     [["Church of", "Saint Mary", "the Virgin"], ["Vaduz"], [""]]),
    ("streets/palette.js", "[5, 19, 30].map(z => m.widthOf('motorway', z))", [0.8, 34, 34]),
    ("streets/palette.js", "m.widthOf('unheard', 14)", 0),
    ("streets/palette.js", ("[true, false].map(dark => Object.keys(m.colours(dark)).sort().join())"
     ".every((keys, _, all) => keys === all[0])"), True),
    ("streets/source.js", ("((map) => [[14, 8192, 8191], [14, 0, 0], [15, 1, 1], [5, 16, 15]]"
     ".map(tile => m.covers(map, ...tile)))({zoom_min: 5, zoom_max: 14, west: 0, south: 0, east: 1,"
     " north: 1})"), [True, False, False, True]),
    # The bytes of a tile: a layer with a line, by hand; bytes that end too soon are no tile.
    ("streets/tile.js", ("m.decode(new Uint8Array([26, 40, 10, 4, 114, 111, 97, 100, 18, 15, 18, 2,"
     " 0, 0, 24, 2, 34, 7, 9, 4, 3, 18, 10, 0, 0, 26, 4, 107, 105, 110, 100, 34, 5, 10, 3, 119, 97,"
     " 121, 120, 2, 40, 32]))"),
     {"road": [{"type": "line", "facts": {"kind": "way"},
                "paths": [[2, -2, 7, -2, 7, -2]]}]}),
    ("streets/tile.js", ("[[26, 5, 1], [255, 255, 255], [13, 1]].map(bytes => { try {"
     " m.decode(new Uint8Array(bytes)); } catch (error) { return error.name; } return ''; })"),
     ["RangeError", "RangeError", "RangeError"]),
]  # fmt: skip


browser = pytest.fixture(scope="module")(any_browser)


@pytest.fixture(scope="module")
def page(browser: Browser, stack_session: Stack) -> Page:
    """A page that connects to nothing, from which modules can be imported."""
    page = browser.new_page()
    page.goto(f"{stack_session.url}/track/")
    return page


def evaluate(page: Page, module: str, expression: str) -> Any:
    """The value of an expression over a module's names, as JSON knows it."""
    return json.loads(
        page.evaluate(
            f"""async () => {{
              const script = document.querySelector("script[type=module]").src;
              const m = await import(new URL("../{module}", script));
              return JSON.stringify({expression});
            }}"""
        )
    )


@pytest.mark.parametrize(("module", "expression", "expected"), CASES)
def test_pure_functions(page: Page, module: str, expression: str, expected: Any) -> None:
    assert evaluate(page, module, expression) == expected


@pytest.mark.parametrize(("story", "mode"), STORIES.items())
def test_what_the_customer_sees_after(page: Page, story: str, mode: str) -> None:
    state, now_ms = STATE, 2_000
    for word in story.split():
        if word == "wait":
            now_ms += 61_000
            continue
        code = word.removeprefix("closed-")
        event = EVENTS.get(word, f"{{type: 'closed', code: {code}, livedMs: 9e3}}")
        state = f"m.reduce({state}, {event})"
    assert evaluate(page, "track/state.js", f"m.modeOf({state}, {now_ms}, 60)") == mode


def test_nothing_older_is_shown_after_something_newer(page: Page) -> None:
    newer, older = FIX % 2_000, FIX % 1_000
    for first, second in ((newer, older), (older, newer)):
        state = (
            f"m.reduce(m.reduce({STATE}, {{type: 'fix', fix: {first}}}),"
            f" {{type: 'fix', fix: {second}}})"
        )
        assert evaluate(page, "track/state.js", f"{state}.fix.atMs") == 2_000
