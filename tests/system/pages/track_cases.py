"""What the customer's page makes of what it is told: (module, expression, what it is)."""

from typing import Any

# An arrival computed at 0: 6 to 9 minutes; and who sees it.
AN_ARRIVAL = (
    "m.readArrival({driver_id: 'd', computed_at: '1970-01-01T00:00:00Z', low_s: %d, high_s: %d})"
)
SEEN = "{mode: '%s', order: %s, fix: {driverId: '%s'}}"
LIVE = SEEN % ("live", "null", "d")
ORDERS: list[tuple[str, str, Any]] = [
    ("track/view.js", ("['full', 'away', 'blocked'].map(cause => m.viewOf({link: 'polling', cause,"
     " final: null, fix: null, failures: 3}, 0, {staleAgeS: 60}).note.split('.')[0])"),
     ["All places for live updates are taken", "Live updates are interrupted",
      "Live updates do not get through on this network"]),
    ("track/order.js", ("[null, {}, {state: 'lost'}].map(m.readOrder)"), [None] * 3),
    ("track/order.js", ("(o => [o.state, o.promisedMs, o.pickup, m.stepOf(o),"
     " m.stageText(o, ms => `t${ms}`), m.endText(o, String)])(m.readOrder({state: 'at_pickup',"
     " promised_at: '1970-01-01T00:00:09Z', pickup: {latitude: 1}, times: {}}))"),
     ["at_pickup", 9000, None, 2, "The driver is at the pick-up \u00b7 promised by t9000", None]),
    ("track/order.js", ("['delivered', 'cancelled'].map(state => m.readOrder({state,"
     " times: {delivered: '1970-01-01T00:00:09Z'}})).map(o => [m.stageText(o, String),"
     " ...m.endText(o, ms => `t${ms}`)])"),
     [["", "Delivered", "Your order was delivered at t9000."],
      ["", "Order cancelled", "This order was cancelled."]]),
    # A time of another day is told with its date.
    ("core/age.js", ("((at, day) => [m.momentText(at, at) === m.clockText(at),"
     " /2001/.test(m.momentText(at, at + day)), /2001/.test(m.momentText(at, at))])"
     "(Date.parse('2001-05-05T12:00:00Z'), 864e5)"), [True, True, False]),
    # How it ended comes after the end; who may not watch is shown nothing of it.
    ("track/state.js", ("['ended', 'invalid'].map(type => [{type: 'order', order: {state: 'a'}},"
     " {type}, {type: 'order', order: {state: 'b'}}].reduce(m.reduce, m.INITIAL).order)"),
     [{"state": "b"}, None]),
]  # fmt: skip
ARRIVALS: list[tuple[str, str, Any]] = [
    ("track/arrival.js", ("[null, {}, {computed_at: 'x', low_s: 1, high_s: 2},"
     " {computed_at: '1970-01-01T00:00:00Z', low_s: 9, high_s: 2}].map(m.readArrival)"),
     [None] * 4),
    ("track/arrival.js", f"m.believed({AN_ARRIVAL % (360, 540)}, {LIVE}, 6e4)",
     {"lowMs": 300_000, "highMs": 480_000}),
    # Not of a driver who is not seen, or at the door, nor of another; nor what is old.
    *(("track/arrival.js",
       f"m.believed({AN_ARRIVAL % (360, 540)}, {SEEN % tuple(seen)}, {now})", None)
      for *seen, now in (("old", "null", "d", 0), ("reconnecting", "null", "d", 0),
                         ("live", "{state: 'arriving'}", "d", 0), ("live", "null", "e", 0),
                         ("live", "null", "d", 121e3))),
    # When the late end has passed, nobody knows; nor what may be anything.
    ("track/arrival.js", f"m.believed({AN_ARRIVAL % (20, 60)}, {LIVE}, 61e3)", None),
    ("track/arrival.js", f"m.believed({AN_ARRIVAL % (300, 2400)}, {LIVE}, 0)", None),
    ("track/arrival.js", f"m.believed({AN_ARRIVAL % (60, 640)}, {LIVE}, 0)",
     {"lowMs": 60_000, "highMs": 640_000}),
    ("track/arrival.js", ("[[6, 9], [7, 7], [1, 1], [110, 160]].map(([low, high]) =>"
     " m.arrivalText({low, high}, 0, ms => `${ms / 6e4}`))"),
     ["Your driver arrives in 6\u20139 min", "Your driver arrives in 7 min",
      "Your driver arrives in a minute", "Your driver arrives between 110 and 160"]),
    ("track/arrival.js", "m.arrivalText(null, 0)", ""),
    # It walks by a minute, does not flicker about one, and says at once what is far off.
    ("track/arrival.js", ("[[6.9, 9.1], [6.2, 8.1], [6.1, 7.9], [6.2, 8.2], [7.2, 9.2],"
     " [7.6, 9.8], [20, 30]].reduce((seen, [low, high]) => [...seen, m.nextShown("
     "seen.at(-1) ?? null, {lowMs: low * 6e4, highMs: high * 6e4})], [])"
     ".map(s => [s.low, s.high, s.leapt])"),
     [[6, 10, True], [6, 9, False], [6, 8, False], [6, 8, False], [6, 9, False],
      [7, 10, False], [20, 30, True]]),
    ("track/arrival.js", "[m.nextShown({low: 1, high: 2}, null), m.nextShown(null, null)]",
     [None, None]),
    # The newest wins, whichever way it came; an order without one takes it back.
    ("track/state.js", ("[[{c: 2}, {c: 1}], [{c: 1}, {c: 2}]].map(two => two.map(({c}) =>"
     " ({type: 'arrival', arrival: {computedMs: c}})).reduce(m.reduce, m.INITIAL)"
     ".arrival.computedMs)"), [2, 2]),
    ("track/state.js", ("[{computedMs: 1}, {computedMs: 3}, null].map(arrival =>"
     " [{type: 'arrival', arrival: {computedMs: 2}}, {type: 'order', order: {arrival}}]"
     ".reduce(m.reduce, m.INITIAL).arrival?.computedMs ?? null)"), [2, 3, None]),
]  # fmt: skip
TRACK = [*ORDERS, *ARRIVALS]
