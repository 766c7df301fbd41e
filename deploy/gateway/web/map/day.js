// A driver's day: its trips and stops on the map and as a timeline, each chosen by a click or key.

import { dayAfter, dayOf, spanOf, spanQuery, zone } from "../core/day.js";
import { byId, create, setShown, setText } from "../core/dom.js";
import { getJson } from "../core/request.js";
import { linesOf, sumText, timelineOf } from "./timeline.js";

const L = window.L;
// Pages of a day; a driver with more trips than these hold is shown the first.
const PAGES_MAX = 5;

export class Day {
  constructor({ map, token, nowMs, calm, paddings, onShown }) {
    Object.assign(this, { map, token, nowMs, calm, paddings, onShown });
    this.driverId = null;
    this.entries = [];
    this.asked = 0;
    this.group = L.layerGroup().addTo(map);
    const date = byId("day-date");
    byId("day").addEventListener("toggle", () => this.load());
    date.addEventListener("change", () => this.load());
    byId("day-before").addEventListener("click", () => this.step(-1));
    byId("day-after").addEventListener("click", () => this.step(1));
    this.reset();
  }

  reset() {
    byId("day-date").value = dayOf(this.nowMs());
    byId("day-date").max = dayOf(this.nowMs());
  }

  /** Another driver, or nobody. `day`: open it on this day. */
  show(driverId, day = null) {
    this.driverId = driverId;
    this.clear();
    this.reset();
    if (day !== null && spanOf(day) !== null) {
      byId("day-date").value = day;
      byId("day").open = true;
    }
    if (driverId !== null) this.load();
  }

  step(days) {
    const date = byId("day-date");
    const day = dayAfter(date.value || dayOf(this.nowMs()), days);
    if (day > date.max) return;
    date.value = day;
    this.load();
  }

  clear() {
    this.asked += 1;
    this.entries = [];
    this.group.clearLayers();
    byId("timeline").replaceChildren();
    byId("strip").replaceChildren();
    setText(byId("day-sum"), "");
  }

  async load() {
    const span = spanOf(byId("day-date").value);
    this.clear();
    if (!byId("day").open || this.driverId === null || span === null) return;
    const asked = this.asked;
    setText(byId("day-sum"), "Loading the day…");
    const base = `/api/v1/drivers/${encodeURIComponent(this.driverId)}`;
    const query = `${spanQuery(span)}&tz=${encodeURIComponent(zone())}`;
    const [summary, trips, stops] = await Promise.all([
      getJson(`${base}/summary?${query}`, { token: this.token }),
      this.pages(`${base}/trips?${spanQuery(span)}&limit=100&format=geojson`, "features"),
      this.pages(`${base}/stops?${spanQuery(span)}&limit=1000`, "stops"),
    ]);
    if (asked !== this.asked) return;
    if (summary.status !== 200 || trips === null || stops === null) {
      setText(byId("day-sum"), "The day could not be read; please try again.");
      return;
    }
    setText(byId("day-sum"), sumText(summary.body.total));
    this.entries = timelineOf(trips, stops, span);
    this.draw();
    if (this.entries.length > 0) this.onShown();
  }

  async pages(path, name) {
    const found = [];
    let cursor = null;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const more = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const { status, body } = await getJson(path + more, { token: this.token });
      if (status !== 200) return null;
      found.push(...body[name]);
      cursor = body.next_cursor;
      if (cursor === null) break;
    }
    return found;
  }

  draw() {
    this.entries.forEach((entry, number) => {
      entry.row = this.addRow(entry, number);
      entry.bit = this.addBit(entry);
      entry.shapes = entry.kind === "trip" ? this.addLine(entry) : this.addSpot(entry);
      for (const shape of entry.shapes) shape.on("click", () => this.choose(number, true));
    });
    const all = L.featureGroup(this.entries.flatMap((entry) => entry.shapes));
    if (this.entries.length > 0) this.look(all.getBounds());
  }

  addRow({ kind, time, title, detail }, number) {
    const button = create("button", `entry ${kind}`);
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    button.append(
      create("span", "entry-time", time), create("b", "", title), create("span", "", detail),
    );
    button.addEventListener("click", () => this.choose(number, false));
    const row = create("li");
    row.append(button);
    byId("timeline").append(row);
    return button;
  }

  addBit({ kind, left, width }) {
    const bit = create("span", `bit ${kind}`);
    bit.style.left = `${left * 100}%`;
    bit.style.width = `max(2px, ${width * 100}%)`;
    byId("strip").append(bit);
    return bit;
  }

  addLine({ geometry }) {
    const lines = linesOf(geometry);
    const line = (className, interactive) =>
      L.polyline(lines, { className, interactive }).addTo(this.group);
    return [line("route-rim", false), line("trip-line", true)];
  }

  addSpot({ item }) {
    const place = [item.latitude, item.longitude];
    return [L.circleMarker(place, { radius: 9, className: "stop-spot" }).addTo(this.group)];
  }

  choose(number, fromMap) {
    const { shapes, row } = this.entries[number];
    this.entries.forEach((entry, other) => {
      const chosen = other === number;
      entry.row.setAttribute("aria-pressed", String(chosen));
      entry.bit.classList.toggle("chosen", chosen);
      for (const shape of entry.shapes) {
        shape.getElement()?.classList.toggle("chosen", chosen);
        if (chosen) shape.bringToFront();
      }
    });
    if (fromMap) row.scrollIntoView({ block: "nearest", behavior: this.calm ? "auto" : "smooth" });
    else this.look(L.featureGroup(shapes).getBounds());
  }

  look(bounds) {
    if (!bounds.isValid()) return;
    this.map.fitBounds(bounds, { maxZoom: 16, animate: !this.calm, ...this.paddings() });
  }
}
