// When the driver arrives, as its customer sees it: what is believed, and how it changes. Pure.

import { clockText } from "../core/age.js";

const MINUTE_MS = 60_000;
// Whatever is older was computed for another place of the driver; it is renewed twice a minute.
const BELIEVED_MS = 120_000;
// An interval is worth showing that is this short, or whose late end is within so many times the
// early one: "in 5–40 min" tells nobody when to put the kettle on.
const WIDTH_MS = 10 * MINUTE_MS;
const SPREAD = 3;
// Beyond this people think in times of day.
const CLOCK_FROM_MIN = 100;
const ROUND_MS = 5 * MINUTE_MS;
// An end goes up only when it is past the minute by so much: else it flickers between two.
const SLACK_MS = 30_000;
// Ends that moved less than this walk there; farther is another story, and told at once.
const WALK_MIN = 3;

const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

/** The `data` of an arrival's frame, or the `arrival` of an order; null if it is none. */
export function readArrival(data) {
  const computedMs = Date.parse(data?.computed_at ?? "");
  const [lowS, highS] = [number(data?.low_s), number(data?.high_s)];
  if (Number.isNaN(computedMs) || lowS === null || highS === null || highS < lowS) return null;
  return {
    driverId: data.driver_id ?? null,
    computedMs,
    earliestMs: computedMs + lowS * 1000,
    latestMs: computedMs + highS * 1000,
  };
}

/** What may be shown now: {lowMs, highMs} from now, or null where nothing is believed. */
export function believed(arrival, { mode, order, fix }, nowMs) {
  // Without a driver who is seen to move nobody knows; at the door everybody does.
  if (arrival === null || mode !== "live" || order?.state === "arriving") return null;
  if (arrival.driverId !== fix.driverId) return null;
  if (nowMs - arrival.computedMs > BELIEVED_MS || nowMs > arrival.latestMs) return null;
  const lowMs = Math.max(0, arrival.earliestMs - nowMs);
  const highMs = arrival.latestMs - nowMs;
  if (highMs - lowMs > WIDTH_MS && highMs > SPREAD * lowMs) return null;
  return { lowMs, highMs };
}

/** Whole minutes, the next to be shown after `shown`: {low, high, leapt}; null shows nothing. */
export function nextShown(shown, now) {
  if (now === null) return null;
  const low = Math.max(1, Math.floor(now.lowMs / MINUTE_MS));
  const high = Math.max(low, Math.ceil(now.highMs / MINUTE_MS));
  if (shown === null) return { low, high, leapt: true };
  const far = Math.abs(low - shown.low) > WALK_MIN || Math.abs(high - shown.high) > WALK_MIN;
  if (far) return { low, high, leapt: true };
  const lowUp = Math.floor((now.lowMs - SLACK_MS) / MINUTE_MS);
  const highUp = Math.ceil((now.highMs - SLACK_MS) / MINUTE_MS);
  const walkedLow = walk(shown.low, low, lowUp);
  const walkedHigh = Math.max(walkedLow, walk(shown.high, high, highUp));
  return { low: walkedLow, high: walkedHigh, leapt: false };
}

// One minute towards the target: down when it is lower, up when it is higher by more than slack.
function walk(from, target, targetUp) {
  if (target < from) return from - 1;
  return targetUp > from ? from + 1 : from;
}

/** "Your driver arrives in 6–9 min"; "" shows nothing. */
export function arrivalText(shown, nowMs, clock = clockText) {
  if (shown === null) return "";
  const { low, high } = shown;
  if (high >= CLOCK_FROM_MIN) {
    const round = (minutes) => Math.round((nowMs + minutes * MINUTE_MS) / ROUND_MS) * ROUND_MS;
    return `Your driver arrives between ${clock(round(low))} and ${clock(round(high))}`;
  }
  if (high <= 1) return "Your driver arrives in a minute";
  return low === high
    ? `Your driver arrives in ${low} min`
    : `Your driver arrives in ${low}–${high} min`;
}
