// Events per second over the last few seconds. Pure; times are given.

const WINDOW_MS = 5_000;

export class Rate {
  constructor(startMs) {
    this.startMs = startMs;
    this.counts = [];
  }

  add(count, nowMs) {
    this.counts.push([nowMs, count]);
  }

  /** Per second at `nowMs`; young meters divide by their age. */
  perSecond(nowMs) {
    while (this.counts.length > 0 && this.counts[0][0] <= nowMs - WINDOW_MS) this.counts.shift();
    const spanMs = Math.min(WINDOW_MS, Math.max(1_000, nowMs - this.startMs));
    return this.counts.reduce((sum, [, count]) => sum + count, 0) / (spanMs / 1000);
  }
}
