// The settings of this installation, and its clock.

import { getJson } from "./request.js";

const DEFAULTS = { tile_url: "", tile_attribution: "", stale_age_s: 60, location_ttl_s: 300 };
// The Date header has whole seconds; a difference within this is none.
const CLOCK_SLACK_MS = 2_000;

/** Settings with `nowMs()`, the server's time: phones' clocks are often wrong, ages may not be. */
export async function loadConfig() {
  const { body, dateMs } = await getJson("/assets/config.json");
  const off = dateMs + 500 - Date.now();
  const skewMs = Number.isFinite(off) && Math.abs(off) > CLOCK_SLACK_MS ? off : 0;
  return { ...DEFAULTS, ...body, nowMs: () => Date.now() + skewMs };
}
