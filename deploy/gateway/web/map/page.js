// The operators' page: positions to drivers, drivers to the map and the cards.

import { loadConfig } from "../core/config.js";
import { Announcer, byId, setShown, setText } from "../core/dom.js";
import { readFix } from "../core/fix.js";
import { askedOf, isId, keepToken, tokenOf } from "../core/link.js";
import { boxOf, WORLD } from "../core/mercator.js";
import { getJson } from "../core/request.js";
import { Drivers } from "./drivers.js";
import { Overview } from "./overview.js";
import { Rate } from "./rate.js";
import { Stream } from "./stream.js";

const TICK_MS = 1_000;
// A map that is still being moved asks for nothing.
const LOOK_AFTER_MS = 350;
// The looked-at box is a little larger than the view, so that small moves find drivers there.
const MARGIN = 0.15;
// Drivers beyond the box are counted anew this often.
const SWEEP_MS = 60_000;
const FOUND_ZOOM = 15;

class Page {
  constructor(config, token, { newMap, DriverLayer, Details, Day, Fences, Plan }) {
    this.config = config;
    this.token = token;
    this.drivers = new Drivers();
    this.rate = new Rate(performance.now());
    this.placed = false;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.calm = calm;
    this.map = newMap(byId("map"), config, { zoomPosition: "bottomright" });
    this.map.setView([25, 0], 2, { animate: false });
    this.layer = new DriverLayer(this.drivers, { isOld: (fix) => this.isOld(fix), calm });
    this.details = new Details({
      map: this.map,
      token,
      nowMs: config.nowMs,
      onFix: (fix) => this.take([fix]),
      onOpen: (driverId, day) => {
        this.fences.close();
        this.day.show(driverId, day);
      },
      onClose: () => { this.mark(null); this.day.show(null); },
    });
    this.day = new Day({
      map: this.map,
      token,
      nowMs: config.nowMs,
      calm,
      paddings: () => this.paddings(),
      onShown: () => this.details.dropRoute(),
    });
    this.layer.addTo(this.map);
    this.fences = new Fences({
      map: this.map,
      token,
      calm,
      paddings: () => this.paddings(),
      onOpen: () => { if (this.details.driverId !== null) this.details.close(); },
      onDriver: (id) => this.search(id),
    });
    this.plan = new Plan({ map: this.map, token, calm, paddings: () => this.paddings() });
    this.overview = new Overview({
      token,
      announcer: new Announcer(byId("announce")),
      onChoose: (id) => this.choose(id),
    });
    this.stream = new Stream({
      token,
      nowMs: config.nowMs,
      onFixes: (fixes) => this.take(fixes),
      onLink: (link) => this.linked(link),
    });
  }

  start() {
    this.map.on("moveend", () => {
      clearTimeout(this.lookTimer);
      this.lookTimer = setTimeout(() => this.look(), LOOK_AFTER_MS);
    });
    this.map.on("click", (event) => this.click(event));
    this.map.on("mousemove", (event) => this.hover(this.layer.at(event.containerPoint)));
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.search(byId("wanted").value.trim());
    });
    // Where there is room the service's health is seen at once.
    byId("health").open = matchMedia("(min-width: 720px) and (min-height: 640px)").matches;
    byId("list").addEventListener("toggle", () => this.tick());
    this.ticking = setInterval(() => this.tick(), TICK_MS);
    setInterval(() => { if (!document.hidden) this.stream.sweep(); }, SWEEP_MS);
    this.stream.look(WORLD);
  }

  isOld(fix) {
    return (this.nowMs - fix.atMs) / 1000 > this.config.stale_age_s;
  }

  linked(link) {
    this.overview.setLink(link);
    if (!this.stream.over) return;
    // A token that may not watch any more is shown nothing any more.
    clearInterval(this.ticking);
    if (this.details.fix !== null) this.details.close();
    this.drivers.byId.clear();
    this.layer.refresh();
    this.fences.end();
    this.plan.end();
    this.overview.end(link);
  }

  // Once a second is often enough for ages, and reading a clock 5,000 times a frame is not free.
  get nowMs() {
    return this.clockMs ?? (this.clockMs = this.config.nowMs());
  }

  take(fixes) {
    const nowMs = performance.now();
    this.rate.add(this.drivers.take(fixes, nowMs, { jump: this.calm || document.hidden }), nowMs);
    const chosen = this.details.driverId;
    const its = chosen === null ? [] : fixes.filter((fix) => fix.driverId === chosen);
    for (const fix of its) this.details.take(fix);
    if (!this.placed && this.drivers.byId.size > 0) this.showAll();
    this.layer.refresh();
  }

  showAll() {
    this.placed = true;
    const fixes = [...this.drivers.byId.values()].map((driver) => driver.fix);
    // One driver with a broken receiver in the sea must not decide what all look at.
    const middle = (values) => {
      const sorted = values.sort((a, b) => a - b);
      const cut = Math.floor(sorted.length * 0.02);
      return [sorted[cut], sorted[sorted.length - 1 - cut]];
    };
    const [south, north] = middle(fixes.map((fix) => fix.latitude));
    const [west, east] = middle(fixes.map((fix) => fix.longitude));
    this.map.fitBounds([[south, west], [north, east]], {
      maxZoom: FOUND_ZOOM, animate: false, ...this.paddings(),
    });
  }

  look() {
    const bounds = this.map.getBounds();
    const [west, south] = [bounds.getWest(), bounds.getSouth()];
    const [east, north] = [bounds.getEast(), bounds.getNorth()];
    this.stream.look(boxOf({ west, south, east, north }, MARGIN));
  }

  hover(id) {
    if (id === this.layer.hoveredId) return;
    this.layer.hoveredId = id;
    byId("map").classList.toggle("over-driver", id !== null);
    this.layer.refresh();
  }

  // Drivers come first; a fence may be as large as the city they drive in.
  click({ containerPoint, latlng }) {
    const id = this.fences.fence?.row === null ? null : this.layer.at(containerPoint);
    if (id === null) this.fences.click(latlng);
    else this.choose(id);
  }

  choose(id) {
    if (this.open(id)) this.uncover(this.drivers.byId.get(id).fix);
  }

  open(id) {
    const driver = id === null ? undefined : this.drivers.byId.get(id);
    if (driver === undefined || this.fences.keeps()) return false;
    this.mark(id);
    this.details.open(driver.fix);
    return true;
  }

  // Move the map so that no card lies on the driver.
  uncover(fix) {
    this.map.panInside([fix.latitude, fix.longitude], {
      ...this.paddings(), animate: !this.calm,
    });
  }

  // What the cards cover, as Leaflet takes it.
  paddings() {
    const side = byId("overview").getBoundingClientRect();
    const open = byId("driver").hidden ? "fence" : "driver";
    const driver = byId(open).getBoundingClientRect();
    const gap = 40;
    const wide = side.right < innerWidth * 0.6;
    const covered = wide ? innerWidth - driver.left : innerHeight - driver.top;
    const far = driver.width > 0 ? covered + gap : gap;
    return wide
      ? { paddingTopLeft: [side.right + gap, gap], paddingBottomRight: [far, gap] }
      : { paddingTopLeft: [gap, side.bottom + gap], paddingBottomRight: [gap, far] };
  }

  mark(id) {
    this.layer.chosenId = id;
    this.layer.refresh();
  }

  async search(id) {
    const answer = byId("search-answer");
    if (this.fences.keeps()) return undefined;
    setShown(answer, true);
    if (!isId(id)) return setText(answer, "An id is 1 to 64 of A–Z a–z 0–9 . _ : -");
    setText(answer, "Looking…");
    const path = `/api/v1/drivers/${encodeURIComponent(id)}/location`;
    const { status, body } = await getJson(path, { token: this.token });
    const fix = status === 200 ? readFix(body) : null;
    if (fix === null) {
      // Its days can be looked at all the same.
      if (status === 404) this.details.openAway(id);
      return setText(answer, status === 404
        ? `No driver ${id} has sent a position lately.`
        : "The service did not answer; please try again.");
    }
    setShown(answer, false);
    this.take([fix]);
    this.placed = true;
    const zoom = Math.max(FOUND_ZOOM, this.map.getZoom());
    this.map.flyTo([fix.latitude, fix.longitude], zoom, { animate: !this.calm, duration: 1.2 });
    return this.open(id);
  }

  tick() {
    this.clockMs = this.config.nowMs();
    this.drivers.expire(this.clockMs, this.config.location_ttl_s);
    this.layer.refresh();
    const ids = this.layer.spots.map((spot) => spot.id);
    const inAll = this.drivers.byId.size;
    const rate = this.rate.perSecond(performance.now());
    // What is drawn may still hold one that has just expired.
    this.overview.setCounts({ inView: Math.min(ids.length, inAll), inAll, rate });
    this.overview.setList(ids.sort());
    if (ids.length > 0) this.overview.setFilled();
    else this.overview.setEmpty(inAll);
    this.details.tick();
  }
}

async function start() {
  addEventListener("hashchange", () => location.reload());
  const token = tokenOf(location.hash);
  const config = await loadConfig();
  if (!window.L) return setText(byId("link"), "The map library did not load");
  const [{ newMap }, { DriverLayer }, { Details }, { Day }, { Fences }, { Plan }] =
    await Promise.all([
      import("../core/ground.js"), import("./layer.js"), import("./details.js"),
      import("./day.js"), import("./fences/fences.js"), import("./plan.js"),
    ]);
  const page = new Page(config, token, { newMap, DriverLayer, Details, Day, Fences, Plan });
  if (token === "") return page.stream.end("incomplete");
  page.fences.start();
  for (const link of ["fleet-link", "webhooks-link"]) keepToken(byId(link), token);
  const { driver, day } = askedOf(location.hash);
  if (driver !== null) {
    page.placed = true;
    page.details.openAway(driver, day);
  }
  return page.start();
}

start();
