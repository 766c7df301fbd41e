// The customer's page: events to state, state to card and map.

import { Announcer, byId, setFacts, setShown, setText } from "../core/dom.js";
import { loadConfig } from "../core/config.js";
import { orderOf, refusalOf, tokenOf } from "../core/link.js";
import { arrivalText, nextShown } from "./arrival.js";
import { Connection } from "./connection.js";
import { OrderFeed } from "./order_feed.js";
import { INITIAL, reduce } from "./state.js";
import { viewOf } from "./view.js";

const TICK_MS = 1_000;
// Between two changes of the arrival's minutes.
const WALK_MS = 4_000;

class Page {
  constructor(config, map, orderText) {
    this.config = config;
    this.map = map;
    this.orderText = orderText;
    this.state = INITIAL;
    this.shown = null;
    // The arrival as it stands on the card, and when it last changed.
    this.arrival = null;
    this.arrivalMs = 0;
    this.onOver = () => {};
    this.announcer = new Announcer(byId("announce"));
    setText(byId("order"), orderText);
    setInterval(() => this.draw(), TICK_MS);
    // What stands at the bottom of the map stands on the card where that lies there.
    const card = byId("card");
    new ResizeObserver(() => {
      document.body.style.setProperty("--card-height", `${card.offsetHeight}px`);
    }).observe(card);
  }

  /** Take an event; the state it leads to. */
  dispatch(event) {
    const before = this.state;
    this.state = reduce(before, event);
    if (this.state.fix !== before.fix) {
      if (this.state.fix === null) this.map?.clear();
      else this.map?.show(this.state.fix);
    }
    if (this.state.order !== before.order) this.map?.showEnds(this.state.order);
    if (this.state.final !== before.final) this.onOver();
    this.draw();
    return this.state;
  }

  draw() {
    const view = viewOf(this.state, this.config.nowMs(), { staleAgeS: this.config.stale_age_s });
    document.body.dataset.mode = view.mode;
    document.body.classList.toggle("over", view.over);
    setText(byId("title"), view.title);
    setText(byId("detail"), view.detail);
    this.drawArrival(view.arrival);
    setText(byId("stage"), view.stage);
    setShown(byId("stage"), view.stage !== "");
    drawWay(byId("way"), view.way);
    setText(byId("note"), view.note);
    setShown(byId("note"), view.note !== "");
    setFacts(byId("facts"), view.facts);
    setShown(byId("facts"), view.facts.length > 0);
    setShown(byId("retry"), view.canRetry);
    const said = [view.title, view.over ? view.detail : view.stage, view.note].filter(Boolean).join(". ");
    if (said !== this.shown) {
      this.shown = said;
      this.announcer.say(said);
      document.title = this.orderText ? `${view.title} · ${this.orderText}` : view.title;
    }
  }

  // It walks by a minute at a time, so that nobody sees it jump; what is far off is shown anew.
  drawArrival(expected) {
    const nowMs = this.config.nowMs();
    const next = nextShown(this.arrival, expected);
    const isDue = next === null || next.leapt || nowMs - this.arrivalMs >= WALK_MS;
    if (!isDue) return;
    const line = byId("arrival");
    const text = arrivalText(next, nowMs);
    if (text !== line.textContent) {
      this.arrivalMs = nowMs;
      line.classList.toggle("leapt", next !== null && next.leapt);
    }
    this.arrival = next;
    setText(line, text);
    setShown(line, text !== "");
  }
}

// A bar of as many parts as there are steps, those that are done filled.
function drawWay(bar, way) {
  setShown(bar, way !== null);
  if (way === null) return;
  const [done, all] = way;
  while (bar.children.length < all) bar.append(document.createElement("i"));
  [...bar.children].forEach((part, i) => part.classList.toggle("done", i < done));
}

async function start() {
  // The same page with another fragment is another link, and browsers do not load it anew.
  addEventListener("hashchange", () => location.reload());
  const { id, text } = orderOf(location.pathname);
  const token = tokenOf(location.hash);
  const config = await loadConfig();
  const page = new Page(config, await newTrackMap(config), text);
  if (id === null) return page.dispatch({ type: "invalid" });
  if (token === "") return page.dispatch({ type: "answered", status: 401, refusal: refusalOf("") });
  const connection = new Connection({
    orderId: id,
    token,
    dispatch: (event) => page.dispatch(event),
    getState: () => page.state,
    nowMs: config.nowMs,
  });
  byId("retry").addEventListener("click", () => connection.retryNow());
  const feed = new OrderFeed({
    orderId: id,
    token,
    dispatch: (event) => page.dispatch(event),
    getState: () => page.state,
  });
  page.onOver = () => feed.askNow();
  return Promise.all([connection.run(), feed.run()]);
}

// Without the map library the card alone still tells how things are.
async function newTrackMap(config) {
  if (!window.L) return null;
  const { TrackMap } = await import("./map.js");
  return new TrackMap(byId("map"), { config, card: byId("card"), followButton: byId("follow") });
}

start();
