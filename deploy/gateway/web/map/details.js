// One driver's details, and its route: opened by a click, a search or the list.

import { accuracyText, ageText, countText, speedText } from "../core/age.js";
import { byId, setFacts, setShown, setText } from "../core/dom.js";
import { isNewer, readFix } from "../core/fix.js";
import { direction } from "../core/geo.js";
import { isId } from "../core/link.js";
import { getJson } from "../core/request.js";
import { fetchRoute, RouteLine } from "./route.js";

// A driver outside the looked-at box sends nothing here: it is asked for.
const QUIET_MS = 5_000;

export class Details {
  constructor({ map, token, nowMs, onFix, onOpen, onClose }) {
    this.onOpen = onOpen;
    this.token = token;
    this.nowMs = nowMs;
    this.onFix = onFix;
    this.onClose = onClose;
    this.line = new RouteLine(map);
    this.fix = null;
    // The driver that is open and has no current position.
    this.awayId = null;
    this.openedBy = null;
    this.heardMs = 0;
    byId("close").addEventListener("click", () => this.close());
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.driverId !== null) this.close();
    });
  }

  get driverId() {
    return this.fix?.driverId ?? this.awayId;
  }

  open(fix) {
    if (this.driverId === fix.driverId) return;
    this.fix = fix;
    this.awayId = null;
    this.heardMs = performance.now();
    this.card(fix.driverId);
    this.draw();
    this.loadRoute(fix.driverId);
    this.onOpen(fix.driverId, null);
  }

  /** Open a driver that sends nothing now: for its days. */
  openAway(driverId, day = null) {
    if (this.driverId === driverId) return;
    this.fix = null;
    this.awayId = driverId;
    this.card(driverId);
    setText(byId("driver-age"), "No current position");
    setText(byId("route"), "");
    setFacts(byId("driver-facts"), []);
    setShown(byId("order-link"), false);
    byId("day").open = true;
    this.onOpen(driverId, day);
  }

  card(driverId) {
    this.openedBy = document.activeElement;
    this.dropped = false;
    this.line.clear();
    setText(byId("driver-id"), driverId);
    setShown(byId("driver"), true);
    byId("driver-id").focus({ preventScroll: true });
  }

  /** The day is drawn instead. */
  dropRoute() {
    this.hasRoute = false;
    this.dropped = true;
    this.line.clear();
    setText(byId("route"), "");
  }

  close() {
    this.fix = null;
    this.awayId = null;
    this.line.clear();
    setShown(byId("driver"), false);
    this.onClose();
    this.openedBy?.focus?.({ preventScroll: true });
  }

  /** A newer position of this driver. */
  take(fix) {
    if (!isNewer(fix, this.fix)) return;
    this.fix = fix;
    this.heardMs = performance.now();
    if (this.hasRoute) this.line.add(fix);
    this.draw();
  }

  /** Once a second: ages, and a question where nothing comes. */
  tick() {
    if (this.fix === null) return;
    this.draw();
    if (performance.now() - this.heardMs > QUIET_MS) this.ask(this.driverId);
  }

  draw() {
    const { fix } = this;
    const ageS = Math.max(0, (this.nowMs() - fix.atMs) / 1000);
    const heading = fix.heading === null
      ? null : `${Math.round(fix.heading)}°, ${direction(fix.heading)}`;
    setText(byId("driver-age"), `Position ${ageText(ageS)}`);
    setFacts(byId("driver-facts"), [
      ["Speed", speedText(fix.speed)],
      ["Heading", heading],
      ["Accuracy", accuracyText(fix.accuracy)],
      ["Place", `${fix.latitude.toFixed(5)}, ${fix.longitude.toFixed(5)}`],
      ["Order", fix.orderId],
    ].filter(([, value]) => value !== null));
    // An operator's token is not for customers, so it does not go into a link.
    const link = byId("order-link");
    const linked = fix.orderId !== null && isId(fix.orderId) && this.token === null;
    setShown(link, linked);
    if (linked) link.href = `/track/${encodeURIComponent(fix.orderId)}`;
  }

  async ask(driverId) {
    this.heardMs = performance.now();
    const path = `/api/v1/drivers/${encodeURIComponent(driverId)}/location`;
    const { status, body } = await getJson(path, { token: this.token });
    const fix = status === 200 ? readFix(body) : null;
    if (fix !== null && this.driverId === driverId && isNewer(fix, this.fix)) this.onFix(fix);
  }

  async loadRoute(driverId) {
    this.hasRoute = false;
    setText(byId("route"), "Loading the route of the last hour…");
    const asked = { token: this.token, nowMs: this.nowMs() };
    const { points, status } = await fetchRoute(driverId, asked);
    if (this.driverId !== driverId || this.dropped) return;
    this.hasRoute = true;
    this.line.set(points);
    this.line.add(this.fix);
    setText(byId("route"), status === 200
      ? `${countText(points.length)} fixes in the last hour`
      : "The route cannot be read now.");
  }
}
