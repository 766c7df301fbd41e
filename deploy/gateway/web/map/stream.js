// The operators' stream: one socket per looked-at box, the old one kept until the new one is open.

import { retryDelayMs } from "../core/backoff.js";
import { readFix } from "../core/fix.js";
import { protocolsFor } from "../core/link.js";
import { getJson, socketUrl } from "../core/request.js";
import { WORLD } from "../core/mercator.js";

const POSITIONS_MAX = 5_000;
const OPEN_TIMEOUT_MS = 8_000;
const SHORT_LIFE_MS = 5_000;
// How long a look at all drivers may take: the snapshot comes within the first second.
const SWEEP_MS = 3_000;
// Asked where a handshake fails, since browsers do not tell why: may this token see drivers?
const MAY_WE = "/api/v1/drivers/nearby?lat=0&lng=0&radius=1&limit=1";

export class Stream {
  /** `onFixes` gets positions, `onLink` one of live, reconnecting, expired, denied. */
  constructor({ token, onFixes, onLink }) {
    this.token = token;
    this.onFixes = onFixes;
    this.onLink = onLink;
    this.box = null;
    this.socket = null;
    this.failures = 0;
    this.timer = 0;
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
    const path = `/api/v1/fleet/live?bbox=${box}&n=${POSITIONS_MAX}`;
    return new WebSocket(socketUrl(path), protocolsFor(this.token));
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
      if (this.socket === socket) this.onLink("live");
    };
    // The old box's positions are still worth showing.
    socket.onmessage = (message) => this.take(message.data);
    socket.onclose = (event) => {
      clearTimeout(timer);
      if (this.socket !== socket) return;
      before?.close();
      this.socket = null;
      const lived = openedMs !== null && performance.now() - openedMs >= SHORT_LIFE_MS;
      this.failures = lived ? 1 : this.failures + 1;
      this.lost(event.code, openedMs !== null);
    };
  }

  async lost(code, opened) {
    if (code === 4003) return this.end("expired");
    if (code === 1008 || code >= 4000) return this.end("denied");
    this.onLink("reconnecting");
    if (!opened) {
      const { status } = await getJson(MAY_WE, { token: this.token });
      if (status === 401) return this.end("expired");
      if (status === 403) return this.end("denied");
    }
    const delayMs = retryDelayMs(this.failures - 1, { busy: code === 1013 });
    clearTimeout(this.timer);
    if (this.socket === null) this.timer = setTimeout(() => this.connect(), delayMs);
    return undefined;
  }

  end(reason) {
    this.over = true;
    this.onLink(reason);
  }

  take(text) {
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
