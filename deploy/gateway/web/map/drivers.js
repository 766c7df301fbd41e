// All drivers that this page has heard of: newest position each, gliding. No DOM.

import { isNewer } from "../core/fix.js";
import { project } from "../core/mercator.js";
import { headingOf, isJump, nextDurationMs } from "../core/glide.js";

// Positions come once a second; a driver glides for about as long as its own fixes take.
const GLIDE_FIRST_MS = 1_000;
const GLIDE_MAX_MS = 4_000;

export class Drivers {
  constructor() {
    this.byId = new Map();
    // Until when something moves, on the clock of performance.now().
    this.movingUntilMs = 0;
  }

  /** Take positions; how many moved somebody known. `jump`: show them at once where they are. */
  take(fixes, nowMs, { jump = false } = {}) {
    let moved = 0;
    for (const fix of fixes) {
      const known = this.byId.get(fix.driverId);
      if (known === undefined) {
        this.byId.set(fix.driverId, newDriver(fix, nowMs));
      } else if (isNewer(fix, known.fix)) {
        this.move(known, fix, nowMs, jump);
        moved += 1;
      }
    }
    return moved;
  }

  move(driver, fix, nowMs, jump) {
    const gapS = (fix.atMs - driver.fix.atMs) / 1000;
    const previousMs = driver.durationMs;
    const durationMs = Math.min(GLIDE_MAX_MS, nextDurationMs(previousMs, nowMs - driver.startMs));
    const target = project(fix);
    // Half a world away is the other side of the antimeridian: not a way to glide.
    const glides = !jump && !isJump(driver.fix, fix, gapS) && Math.abs(target.x - driver.x) < 0.5;
    const share = shareOf(driver, nowMs);
    driver.fromX = glides ? driver.fromX + (driver.x - driver.fromX) * share : target.x;
    driver.fromY = glides ? driver.fromY + (driver.y - driver.fromY) * share : target.y;
    driver.x = target.x;
    driver.y = target.y;
    driver.heading = headingOf(fix, driver.fix, driver.heading);
    driver.startMs = nowMs;
    driver.durationMs = durationMs;
    driver.fix = fix;
    if (glides) this.movingUntilMs = Math.max(this.movingUntilMs, nowMs + durationMs);
  }

  /** Forget drivers whose position is older than `ttlS`, as the server does. `nowMs`: its time. */
  expire(nowMs, ttlS) {
    for (const [id, driver] of this.byId) {
      if ((nowMs - driver.fix.atMs) / 1000 > ttlS) this.byId.delete(id);
    }
  }
}

function newDriver(fix, nowMs) {
  const { x, y } = project(fix);
  return {
    fix, x, y, fromX: x, fromY: y, heading: fix.heading, startMs: nowMs, durationMs: GLIDE_FIRST_MS,
  };
}

/** The share of its glide that a driver has done, 0…1. */
export function shareOf(driver, nowMs) {
  return Math.min(1, Math.max(0, (nowMs - driver.startMs) / driver.durationMs));
}
