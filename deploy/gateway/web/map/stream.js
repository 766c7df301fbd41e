// The operators' stream: one socket per looked-at box, the old one kept until the new one is open.

import { retryDelayMs } from "../core/backoff.js";
import { readFix } from "../core/fix.js";
import { protocolsFor, refusalOf } from "../core/link.js";
import { getJson, socketUrl, whyNoSocket } from "../core/request.js";
import { WORLD } from "../core/mercator.js";

const POSITIONS_MAX = 5_000;
const OPEN_TIMEOUT_MS = 8_000;
const SHORT_LIFE_MS = 5_000;
// How long a look at all drivers may take: the snapshot comes within the first second.
const SWEEP_MS = 3_000;
// Asked where a handshake fails, since browsers do not tell why: may this token see drivers?
const MAY_WE = "/api/v1/drivers/nearby?lat=0&lng=0&radius=1&limit=1";

export class Stream {
  /** `onFixes` gets positions; `onLink` live, reconnecting, full, or why it is over: expired,
   *  revoked, incomplete, denied. */
  constructor({ token, nowMs, onFixes, onLink }) {
    this.token = token;
    this.nowMs = nowMs;
    this.onFixes = onFixes;
    this.onLink = onLink;
    this.box = null;
    this.socket = null;
    this.failures = 0;
    this.timer = 0;
    this.full = false;
    this.over = false;
    addEventListener("online", () => this.retryNow());
  }

  /** Look at another box. */
  look(box) {
    if (box === this.box) return;
    this.box = box;
    this.retryNow();
  }

  retryNow() {
    clearTimeout(this.timer);
    if (this.box !== null && !this.over) this.connect();
  }

  /** See all drivers once, beside the box. */
  sweep() {
    if (this.over) return;
    const socket = this.open(WORLD);
    socket.onmessage = (message) => this.take(message.data);
    setTimeout(() => socket.close(), SWEEP_MS);
  }

  open(box) {
    return new WebSocket(socketUrl(pathOf(box)), protocolsFor(this.token));
  }

  connect() {
    const before = this.socket;
    const socket = this.open(this.box);
    this.socket = socket;
    let openedMs = null;
    const timer = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(timer);
      openedMs = performance.now();
      before?.close();
      this.full = false;
      if (this.socket === socket) this.onLink("live");
    };
    // The old box's positions are still worth showing.
    socket.onmessage = (message) => this.take(message.data);
    socket.onclose = (event) => {
      clearTimeout(timer);
      if (this.over || this.socket !== socket) return;
      if (before?.readyState === WebSocket.OPEN) {
        // Where all places are taken, the old socket's is the one to have.
        before.onclose = () => this.retryNow();
      }
      before?.close();
      this.socket = null;
      const lived = openedMs !== null && performance.now() - openedMs >= SHORT_LIFE_MS;
      this.failures = lived ? 1 : this.failures + 1;
      this.lost(event.code, openedMs !== null);
    };
  }

  async lost(code, opened) {
    if (code === 4003) return this.end(refusalOf(this.token, this.nowMs()));
    if (code === 1008 || code >= 4000) return this.end("denied");
    if (!this.full) this.onLink("reconnecting");
    if (!opened) {
      const [{ status }, sockets] = await Promise.all([
        getJson(MAY_WE, { token: this.token }), whyNoSocket(pathOf(this.box)),
      ]);
      if (status === 401) return this.end(refusalOf(this.token, this.nowMs()));
      if (status === 403) return this.end("denied");
      this.full = sockets === "full";
    }
    // Meanwhile somebody may have moved the map, which connects at once.
    if (this.socket !== null) return undefined;
    const busy = this.full || code === 1013;
    this.onLink(busy ? "full" : "reconnecting");
    clearTimeout(this.timer);
    // Operators are few, and see nothing meanwhile: for them a full server is asked more often.
    const attempt = Math.min(this.failures - 1, busy ? 1 : Infinity);
    const delayMs = retryDelayMs(attempt, { busy });
    this.timer = setTimeout(() => this.connect(), delayMs);
    return undefined;
  }

  end(reason) {
    this.over = true;
    clearTimeout(this.timer);
    this.socket?.close();
    this.onLink(reason);
  }

  take(text) {
    if (this.over) return;
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (frame?.type !== "positions" || !Array.isArray(frame.data)) return;
    this.onFixes(frame.data.map(readFix).filter((fix) => fix !== null && fix.driverId !== ""));
  }
}

function pathOf(box) {
  return `/api/v1/fleet/live?bbox=${box}&n=${POSITIONS_MAX}`;
}
