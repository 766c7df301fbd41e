// The customer's map: the driver, kept in sight until the customer looks elsewhere.

import { newMap } from "../core/ground.js";
import { setShown } from "../core/dom.js";
import { Ends } from "./ends.js";
import { DriverMarker } from "./marker.js";

const L = window.L;
const ZOOM = 16;
// Part of the free map that the driver may cross before the map follows.
const MARGIN = 0.22;

export class TrackMap {
  constructor(element, { config, card, followButton }) {
    this.calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.card = card;
    this.followButton = followButton;
    this.following = true;
    this.placed = false;
    this.map = newMap(element, config);
    this.map.setView([20, 0], 3, { animate: false });
    this.driver = new DriverMarker(this.map, {
      calm: this.calm,
      onMove: (place) => { if (this.following) this.keepInSight(place); },
    });
    this.ends = new Ends(this.map);
    // A customer who drags the map or moves it by key looks elsewhere; zooming does not mean that.
    this.map.on("dragstart", () => this.follow(false));
    element.addEventListener("keydown", (event) => {
      if (event.key.startsWith("Arrow")) this.follow(false);
    });
    this.map.on("resize", () => { if (this.following) this.centre({ animate: false }); });
    followButton.addEventListener("click", () => { this.follow(true); this.centre(); });
  }

  show(fix) {
    this.driver.show(fix);
    if (!this.placed) {
      this.placed = true;
      this.map.setView(this.shifted(this.driver.place, ZOOM), ZOOM, { animate: false });
    }
  }

  /** Where the order comes from and goes; the map begins there while no driver is shown. */
  showEnds(order) {
    this.ends.show(order);
    const place = order?.dropoff ?? order?.pickup ?? null;
    if (place !== null && this.driver.place === null && !this.placed) {
      this.map.setView(this.shifted(place, ZOOM), ZOOM, { animate: false });
    }
  }

  clear() {
    this.driver.clear();
    this.follow(true);
  }

  follow(wanted) {
    this.following = wanted;
    setShown(this.followButton, !wanted && this.driver.place !== null);
  }

  centre(animation = this.animation()) {
    const { place } = this.driver;
    if (place !== null) this.map.panTo(this.shifted(place, this.map.getZoom()), animation);
  }

  animation() {
    return { animate: !this.calm && !document.hidden, duration: 0.6, easeLinearity: 0.4 };
  }

  // The free part of the map: what the card does not cover.
  free() {
    const size = this.map.getSize();
    const card = this.card.getBoundingClientRect();
    const wide = card.right < size.x * 0.6;
    return wide
      ? L.bounds([card.right, 0], [size.x, size.y])
      : L.bounds([0, 0], [size.x, Math.max(card.top, size.y * 0.3)]);
  }

  // The centre for the whole map that puts `place` in the middle of the free part.
  shifted(place, zoom) {
    const off = this.free().getCenter().subtract(this.map.getSize().divideBy(2));
    const point = this.map.project([place.latitude, place.longitude], zoom).subtract(off);
    return this.map.unproject(point, zoom);
  }

  keepInSight(place) {
    if (!this.placed || this.map._panAnim?._inProgress) return;
    const free = this.free();
    const margin = free.getSize().multiplyBy(MARGIN);
    const inner = L.bounds(free.min.add(margin), free.max.subtract(margin));
    const point = this.map.latLngToContainerPoint([place.latitude, place.longitude]);
    if (!inner.contains(point)) this.centre();
  }
}
