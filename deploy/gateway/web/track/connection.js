// Keeps a page informed: a socket, a new one when it is gone, requests where no socket lives.
//
// It holds no rules: events go to `dispatch`, which answers with the state they lead to.

import { jittered, retryDelayMs } from "../core/backoff.js";
import { isNewer, readFix } from "../core/fix.js";
import { protocolsFor, refusalOf } from "../core/link.js";
import { readArrival } from "./arrival.js";
import { getJson, socketUrl, whyNoSocket } from "../core/request.js";
import { SHORT_LIFE_MS } from "./state.js";

// A handshake takes no longer on any network worth waiting for.
const OPEN_TIMEOUT_MS = 8_000;
const POLL_MS = 5_000;
// A quiet socket may be a dead one, and a page cannot see pings: it asks.
const CHECK_MS = 60_000;
// After an answer newer than all frames, the frame itself has this long to come.
const GRACE_MS = 3_000;

export class Connection {
  /** `dispatch` takes an event and returns the new state; `getState` returns it as it is. */
  constructor({ orderId, token, dispatch, getState, nowMs }) {
    const order = encodeURIComponent(orderId);
    this.socketPath = `/api/v1/drivers/orders/${order}/driver-location`;
    this.requestPath = `/api/v1/orders/${order}/location`;
    this.token = token;
    this.dispatch = dispatch;
    this.getState = getState;
    this.nowMs = nowMs;
    this.socket = null;
    this.heardMs = 0;
    this.checking = false;
    // Sockets that failed since positions are asked for instead.
    this.polls = 0;
    this.drop = () => {};
    this.wake = () => {};
  }

  /** Run until it is over. */
  async run() {
    setInterval(() => this.checkIfQuiet(), CHECK_MS / 4);
    addEventListener("online", () => this.comeBack());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.comeBack();
    });
    let state = this.dispatch({ type: "connecting" });
    while (state.final === null) {
      const end = await this.watch();
      if (end.livedMs >= SHORT_LIFE_MS) this.polls = 0;
      state = this.dispatch(end);
      if (state.final !== null) break;
      state = await this.ask(end);
      if (state.final !== null) break;
      state = state.link === "polling" ? await this.poll() : await this.pause(state);
      if (state.final === null) state = this.dispatch({ type: "connecting" });
    }
    this.socket?.close();
  }

  /** Try again at once. */
  retryNow() {
    this.wake();
  }

  // A socket from its opening to its end; the event that its end is.
  watch() {
    return new Promise((resolve) => {
      const socket = new WebSocket(socketUrl(this.socketPath), protocolsFor(this.token));
      this.socket = socket;
      let openedMs = null;
      let ended = false;
      const end = (code) => {
        if (ended) return;
        ended = true;
        clearTimeout(timer);
        this.socket = null;
        const livedMs = openedMs === null ? 0 : performance.now() - openedMs;
        const refusal = refusalOf(this.token, this.nowMs());
        resolve({ type: "closed", code, livedMs, opened: openedMs !== null, refusal });
      };
      // A closing handshake with a dead peer takes a minute: the page goes on without it.
      this.drop = () => { socket.close(); end(1006); };
      const timer = setTimeout(this.drop, OPEN_TIMEOUT_MS);
      socket.onopen = () => {
        clearTimeout(timer);
        openedMs = this.heardMs = performance.now();
        this.dispatch({ type: "opened" });
      };
      socket.onmessage = (message) => { if (!ended) this.take(message.data); };
      socket.onclose = (event) => end(event.code);
    });
  }

  take(text) {
    this.heardMs = performance.now();
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (frame?.type === "tracking_ended") {
      this.dispatch({ type: "ended" });
      this.drop();
    }
    const fix = frame?.type === "location_update" ? readFix(frame.data) : null;
    if (fix !== null) this.dispatch({ type: "fix", fix });
    const arrival = frame?.type === "arrival" ? readArrival(frame.data) : null;
    if (arrival !== null) this.dispatch({ type: "arrival", arrival });
  }

  // Ask once where the driver is; and after a socket that failed, why it failed.
  async ask(end = null) {
    const full = end?.code === 1013 ? "full" : null;
    const failed = end !== null && !end.opened && full === null;
    const why = failed ? whyNoSocket(this.socketPath) : full;
    const [answer, sockets] = await Promise.all([this.question(), why]);
    return this.dispatch({ ...answer, sockets });
  }

  async question() {
    const { status, body } = await getJson(this.requestPath, { token: this.token });
    const fix = status === 200 ? readFix(body) : null;
    const problem = status === 200 ? null : body?.type ?? null;
    return { type: "answered", status, problem, fix, refusal: refusalOf(this.token, this.nowMs()) };
  }

  // Ask again and again; back to sockets after a while, or when requests fail too.
  async poll() {
    // A server that is not there is missed by all its watchers, and is most often back soon.
    const attempt = this.getState().cause === "away" ? Math.min(this.polls, 1) : this.polls;
    this.polls += 1;
    const untilMs = performance.now() + retryDelayMs(attempt, { busy: true });
    for (;;) {
      const restMs = untilMs - performance.now();
      const woken = await this.wait(Math.min(restMs, jittered(POLL_MS)));
      if (woken || performance.now() >= untilMs) return this.getState();
      const state = await this.ask();
      if (state.final !== null || state.link !== "polling") return state;
    }
  }

  async pause(state) {
    this.polls = 0;
    const delayMs = retryDelayMs(state.failures - 1, { busy: state.busy });
    const paused = this.dispatch({ type: "retry-at", atMs: this.nowMs() + delayMs });
    await this.wait(delayMs);
    return paused;
  }

  // True when somebody woke it before the time was over.
  wait(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      this.wake = () => { clearTimeout(timer); resolve(true); };
    });
  }

  // The network or the person is back: retry now, or make sure that the socket lives.
  comeBack() {
    if (this.socket === null) this.wake();
    else this.check();
  }

  checkIfQuiet() {
    const quiet = performance.now() - this.heardMs > jittered(CHECK_MS);
    if (quiet && document.visibilityState === "visible") this.check();
  }

  // A socket that an answer outruns, or a network without answers: it is dead, whatever it says.
  async check() {
    const socket = this.socket;
    if (socket?.readyState !== WebSocket.OPEN || this.checking) return;
    this.checking = true;
    const heardBeforeMs = this.heardMs;
    const answer = await this.question();
    const known = this.getState().fix;
    const outrun = answer.fix !== null && isNewer(answer.fix, known);
    if (answer.status === 0 || outrun) {
      await new Promise((resolve) => { setTimeout(resolve, GRACE_MS); });
      if (this.socket === socket && this.heardMs === heardBeforeMs) this.drop();
    } else if (this.socket === socket) {
      this.heardMs = performance.now();
      if (this.dispatch(answer).final !== null) this.drop();
    }
    this.checking = false;
  }
}
