// A day of the whole fleet: totals, a heat map by hour, a table, and all of it as CSV.

import { loadConfig } from "../core/config.js";
import { dayAfter, dayOf, spanOf, spanQuery, zone } from "../core/day.js";
import { Announcer, byId, setFacts, setShown, setText } from "../core/dom.js";
import { keepToken, tokenOf } from "../core/link.js";
import { getJson, getText } from "../core/request.js";
import { hoursOf, totalsOf } from "./model.js";
import { Table } from "./table.js";

// Today goes on; any other day is over.
const REFRESH_MS = 30_000;
// Drivers of a page of the API, and pages that are read: 10,000 drivers in all.
const PAGE_DRIVERS = 1_000;
const PAGES_MAX = 10;
const REFUSED = {
  401: "This link no longer works, or holds no token. Please ask for a new one.",
  403: "This link was not made for operators.",
  429: "Too many requests; trying again soon.",
};

class FleetPage {
  constructor(config, token, { newMap, Heat }) {
    this.config = config;
    this.token = token;
    this.asked = 0;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.announcer = new Announcer(byId("announce"));
    this.table = new Table({ token, announcer: this.announcer, dayOf: () => byId("date").value });
    setShown(byId("heat"), true);
    const map = newMap(byId("heat-map"), config, { zoomPosition: "topright" });
    map.setView([25, 0], 2, { animate: false });
    this.heat = new Heat({ map, token, calm });
    byId("date").addEventListener("change", () => this.load(true));
    byId("before").addEventListener("click", () => this.step(-1));
    byId("after").addEventListener("click", () => this.step(1));
    byId("today").addEventListener("click", () => this.go(this.today()));
    byId("csv").addEventListener("click", () => this.download());
  }

  start(day) {
    byId("date").max = this.today();
    this.go(day !== null && spanOf(day) !== null ? day : this.today());
    setInterval(() => {
      byId("date").max = this.today();
      if (!document.hidden && byId("date").value === this.today()) this.load(false);
    }, REFRESH_MS);
  }

  today() {
    return dayOf(this.config.nowMs());
  }

  go(day) {
    byId("date").value = day;
    this.load(true);
  }

  step(days) {
    const day = dayAfter(byId("date").value || this.today(), days);
    if (day <= this.today()) this.go(day);
  }

  /** `fresh`: another day was chosen, so nothing of the last one stays. */
  async load(fresh) {
    const span = spanOf(byId("date").value);
    if (span === null) return;
    this.asked += 1;
    const asked = this.asked;
    if (fresh) setText(byId("state"), "Loading the day…");
    const { status, drivers } = await this.read(span);
    if (asked !== this.asked) return;
    if (status !== 200) {
      setText(byId("state"), REFUSED[status] ?? "The service did not answer; trying again soon.");
      return;
    }
    const none = drivers.length === 0;
    setText(byId("state"), none ? "Nothing was recorded on this day." : "");
    setFacts(byId("totals"), totalsOf(drivers));
    for (const part of ["totals", "drivers"]) setShown(byId(part), !none);
    this.table.set(drivers, span);
    if (fresh) this.heat.set(span, busiest(drivers, span));
  }

  async read(span) {
    const drivers = [];
    let cursor = null;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const more = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const path = `/api/v1/fleet/summary?${spanQuery(span)}&by=hour&limit=${PAGE_DRIVERS}${more}`;
      const { status, body } = await getJson(path, { token: this.token, timeoutMs: 15_000 });
      if (status !== 200) return { status, drivers };
      drivers.push(...body.drivers);
      cursor = body.next_cursor;
      if (cursor === null) break;
    }
    return { status: 200, drivers };
  }

  async download() {
    const day = byId("date").value;
    const span = spanOf(day);
    if (span === null) return;
    const parts = [];
    const tz = encodeURIComponent(zone());
    let path = `/api/v1/fleet/summary?${spanQuery(span)}&format=csv&limit=10000&tz=${tz}`;
    while (path !== null) {
      const { status, text, next } = await getText(path, { token: this.token, timeoutMs: 30_000 });
      if (status !== 200) {
        this.announcer.say("The file could not be made");
        return;
      }
      // One heading for all pages.
      parts.push(parts.length === 0 ? text : text.slice(text.indexOf("\r\n") + 2));
      path = next;
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(parts, { type: "text/csv" }));
    link.download = `fleet-${day}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    this.announcer.say(`fleet-${day}.csv is saved`);
  }
}

// The hour in which most was driven.
function busiest(drivers, span) {
  const all = [];
  for (const { buckets } of drivers) {
    hoursOf(buckets, span).forEach((metres, hour) => { all[hour] = (all[hour] ?? 0) + metres; });
  }
  return all.length === 0 ? 0 : all.indexOf(Math.max(...all));
}

async function start() {
  addEventListener("hashchange", () => location.reload());
  const token = tokenOf(location.hash);
  const config = await loadConfig();
  if (!window.L) return setText(byId("state"), "The map library did not load");
  if (token === "") return setText(byId("state"), REFUSED[401]);
  keepToken(byId("map-link"), token);
  const [{ newMap }, { Heat }] = await Promise.all([
    import("../core/ground.js"), import("./heat.js"),
  ]);
  const day = new URLSearchParams(location.hash.replace(/^#/, "")).get("day");
  return new FleetPage(config, token, { newMap, Heat }).start(day);
}

start();
