// When to try again: capped exponential backoff with full jitter, as the server's own. Pure.

const FIRST_MS = 500;
const MOST_MS = 15_000;
// A full server is left alone for longer.
const BUSY_FIRST_MS = 5_000;
const BUSY_MOST_MS = 60_000;

/** Milliseconds to wait before retry number `attempt` (0 is the first). `random` is in [0, 1). */
export function retryDelayMs(attempt, { busy = false, random = Math.random } = {}) {
  const first = busy ? BUSY_FIRST_MS : FIRST_MS;
  const most = busy ? BUSY_MOST_MS : MOST_MS;
  const ceiling = Math.min(most, first * 2 ** Math.min(attempt, 30));
  return Math.max(first / 2, random() * ceiling);
}

/** `ms` give or take a quarter, so that many pages do not ask in step. */
export function jittered(ms, random = Math.random) {
  return ms * (0.75 + random() / 2);
}
