// The driver on the map: a puck with an arrow that glides from fix to fix, the circle of its
// accuracy, and the trail of the last minutes behind it.

import {
  headingOf, isJump, newGlide, nextDurationMs, placeAt,
} from "../core/glide.js";

const L = window.L;
const SVG = "http://www.w3.org/2000/svg";
const PUCK_PX = 52;
// How long a trail is, and in how many steps it fades out.
const TRAIL_MS = 10 * 60_000;
const TRAIL_POINTS_MAX = 600;
const TRAIL_STEPS = 5;

const latLng = (place) => [place.latitude, place.longitude];

export class DriverMarker {
  /** `onMove` is told each place shown. */
  constructor(map, { calm, onMove }) {
    this.map = map;
    this.calm = calm;
    this.onMove = onMove;
    this.fix = null;
    this.place = null;
    this.glide = null;
    this.durationMs = null;
    this.arrivedMs = 0;
    this.trail = [];
    this.frame = 0;
    this.layers = L.layerGroup().addTo(map);
    this.circle = L.circle([0, 0], { radius: 0, className: "accuracy", interactive: false });
    this.steps = Array.from({ length: TRAIL_STEPS }, (_, i) => L.polyline([], {
      className: `trail trail-${i + 1}`, interactive: false, smoothFactor: 1,
    }));
    this.tip = L.polyline([], { className: `trail trail-${TRAIL_STEPS}`, interactive: false });
    const { icon, turn } = puck();
    this.turn = turn;
    this.marker = L.marker([0, 0], { icon, keyboard: false, interactive: false, alt: "" });
  }

  /** Go to a newer fix: glide there, or appear there. */
  show(fix) {
    const first = this.fix === null;
    const nowMs = performance.now();
    const gapS = first ? 0 : (fix.atMs - this.fix.atMs) / 1000;
    const heading = headingOf(fix, this.fix, this.place?.heading ?? null);
    const target = { latitude: fix.latitude, longitude: fix.longitude, heading };
    if (!first) this.durationMs = nextDurationMs(this.durationMs, nowMs - this.arrivedMs);
    this.arrivedMs = nowMs;
    const far = !first && isJump(this.fix, fix, gapS);
    const jumps = first || far || this.calm || document.hidden;
    if (far) this.trail = [];
    this.remember(fix);
    this.glide = newGlide(jumps ? target : this.place, target, jumps ? 0 : this.durationMs, nowMs);
    this.fix = fix;
    if (first) this.appear();
    this.marker.getElement().dataset.place = `${fix.latitude},${fix.longitude}`;
    this.drawCircle(fix);
    this.drawTrail();
    this.step();
  }

  /** Take everything off the map. */
  clear() {
    cancelAnimationFrame(this.frame);
    this.layers.clearLayers();
    this.fix = this.place = this.glide = null;
    this.trail = [];
  }

  appear() {
    const layers = [this.circle, ...this.steps, this.tip, this.marker];
    for (const layer of layers) this.layers.addLayer(layer);
  }

  remember(fix) {
    this.trail.push({ latitude: fix.latitude, longitude: fix.longitude, atMs: fix.atMs });
    const oldestMs = fix.atMs - TRAIL_MS;
    while (this.trail.length > TRAIL_POINTS_MAX || this.trail[0].atMs < oldestMs) {
      this.trail.shift();
    }
  }

  step() {
    cancelAnimationFrame(this.frame);
    if (this.glide === null) return;
    this.place = placeAt(this.glide, performance.now());
    this.marker.setLatLng(latLng(this.place));
    this.circle.setLatLng(latLng(this.place));
    const behind = this.trail.at(-2);
    this.tip.setLatLngs(behind === undefined ? [] : [latLng(behind), latLng(this.place)]);
    this.turn(this.place.heading);
    this.onMove(this.place);
    if (!this.place.done) this.frame = requestAnimationFrame(() => this.step());
  }

  drawCircle({ accuracy }) {
    this.circle.setRadius(accuracy === null ? 0 : Math.min(accuracy, 5_000));
  }

  // All but the newest leg, which `tip` draws as far as the marker has come.
  drawTrail() {
    const settled = this.trail.slice(0, -1).map(latLng);
    const size = Math.ceil(settled.length / TRAIL_STEPS);
    this.steps.forEach((line, i) => line.setLatLngs(settled.slice(i * size, (i + 1) * size + 1)));
  }
}

// The icon, and the function that turns its arrow; null hides it.
function puck() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "-22 -22 44 44");
  const shapes = [
    ["circle", { class: "puck-halo", r: 20 }],
    ["circle", { class: "puck-rim", r: 14 }],
    ["circle", { class: "puck-face", r: 11.5 }],
    ["path", { class: "puck-arrow", d: "M0-7.4 5.4 6 0 3.2-5.4 6Z" }],
    ["circle", { class: "puck-point", r: 4 }],
  ];
  const drawn = shapes.map(([tag, attributes]) => {
    const shape = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
    svg.append(shape);
    return shape;
  });
  const [arrow, point] = drawn.slice(-2);
  const turn = (heading) => {
    arrow.style.display = heading === null ? "none" : "";
    point.style.display = heading === null ? "" : "none";
    if (heading !== null) arrow.style.transform = `rotate(${heading}deg)`;
  };
  turn(null);
  const icon = L.divIcon({ html: svg, className: "puck", iconSize: [PUCK_PX, PUCK_PX] });
  return { icon, turn };
}
