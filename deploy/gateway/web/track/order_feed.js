// Asks for the order now and then: its state changes a few times an hour, so that needs no socket.

import { jittered } from "../core/backoff.js";
import { NO_ORDER } from "../core/problem.js";
import { getJson } from "../core/request.js";
import { readOrder } from "./order.js";

const ASK_MS = 30_000;
// An order that nobody registered may be so later; and who is refused asks less.
const ASK_SELDOM_MS = 120_000;
// Watchers hear of an end a moment before it is written down.
const END_ASKS = 3;
const END_ASK_MS = 1_500;

export class OrderFeed {
  constructor({ orderId, token, dispatch, getState }) {
    this.path = `/api/v1/orders/${encodeURIComponent(orderId)}`;
    this.token = token;
    this.dispatch = dispatch;
    this.getState = getState;
    this.wake = () => {};
  }

  /** Run until it is over, and until it is known how the order ended. */
  async run() {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.wake();
    });
    while (this.getState().final === null) {
      const waitMs = document.visibilityState === "visible" ? await this.ask() : ASK_SELDOM_MS;
      if (this.getState().final === null) await this.wait(jittered(waitMs));
    }
    for (let asks = 0; asks < END_ASKS && this.isUnexplained(); asks += 1) {
      await this.ask();
      if (this.isUnexplained()) await this.wait(jittered(END_ASK_MS));
    }
  }

  // An order that was under way, and whose end is not known yet.
  isUnexplained() {
    const { final, order } = this.getState();
    return final === "ended" && order !== null && order.overMs === null;
  }

  /** Ask at once: something has changed. */
  askNow() {
    this.wake();
  }

  async ask() {
    const { status, body } = await getJson(this.path, { token: this.token });
    const order = status === 200 ? readOrder(body) : null;
    if (order !== null) this.dispatch({ type: "order", order });
    const absent = status === 404 && body?.type === NO_ORDER;
    return status === 200 || (status === 404 && !absent) ? ASK_MS : ASK_SELDOM_MS;
  }

  wait(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => { clearTimeout(timer); resolve(); };
    });
  }
}
