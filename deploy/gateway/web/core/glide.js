// How a marker moves from one fix to the next: straight, over the interval at which fixes come,
// turning the short way; never over a gap that nobody drives. Pure.

import { bearing, between, distanceM, shortestArc } from "./geo.js";

// Fixes that come together must still be seen to move; and a marker may lag by no more than this.
const DURATION_MIN_MS = 250;
const DURATION_MAX_MS = 10_000;
// Faster than any road vehicle, in metres a second: what is farther was not driven.
const SPEED_MAX_MPS = 85;
// Bad fixes and tunnels move a marker this far at once; gliding still reads as driving.
const JUMP_MIN_M = 400;
// Below this a move is noise and says nothing of a heading.
const HEADING_MOVE_MIN_M = 4;

/** The time to glide for: the intervals observed so far, the latest weighing half. */
export function nextDurationMs(previousMs, observedMs) {
  const mixed = previousMs === null ? observedMs : (previousMs + observedMs) / 2;
  return Math.min(DURATION_MAX_MS, Math.max(DURATION_MIN_MS, mixed));
}

/** Whether a marker should appear at `to` instead of gliding there. `gapS`: time between both. */
export function isJump(from, to, gapS) {
  return distanceM(from, to) > Math.max(JUMP_MIN_M, SPEED_MAX_MPS * Math.max(0, gapS));
}

/** Where the arrow points: the fix's own heading, else along its move, else as before. */
export function headingOf(fix, previous, headingBefore) {
  if (fix.heading !== null) return fix.heading;
  if (previous === null || distanceM(previous, fix) < HEADING_MOVE_MIN_M) return headingBefore;
  return bearing(previous, fix);
}

/** A glide from a place {latitude, longitude, heading} to another, starting at `startMs`. */
export function newGlide(from, to, durationMs, startMs) {
  return { from, to, durationMs, startMs };
}

/** Where the glide is now. `done` once it has arrived; it stays there. */
export function placeAt(glide, nowMs) {
  const { from, to } = glide;
  const passed = glide.durationMs > 0 ? (nowMs - glide.startMs) / glide.durationMs : 1;
  if (passed >= 1) return { ...to, done: true };
  const share = Math.max(0, passed);
  const heading = turned(from.heading, to.heading, share);
  return { ...between(from, to, share), heading, done: false };
}

// Turning takes a third of the way: a vehicle points where it goes before it gets there.
function turned(from, to, share) {
  if (from === null || to === null) return to;
  return (from + shortestArc(from, to) * Math.min(1, share * 3) + 360) % 360;
}
