// Thousands of drivers on one canvas: sprites drawn once per colour and heading, then copied.

import { shareOf } from "./drivers.js";

const L = window.L;
const HEADINGS = 48;
const TONES = ["live", "old", "chosen"];
// Side of a sprite: near, and from afar where thousands share a few pixels.
const NEAR_PX = 30;
const FAR_PX = 16;
const NEAR_ZOOM = 12;
// More than these in view are shown where they are: gliding would cost every frame.
const GLIDING_MAX = 2_000;
// A fingertip.
const HIT_PX = 22;

export const DriverLayer = L.Layer.extend({
  /** `isOld` tells a fix whose age shows; `calm`: nothing glides. */
  initialize(drivers, { isOld, calm }) {
    this.drivers = drivers;
    this.isOld = isOld;
    this.calm = calm;
    this.chosenId = null;
    this.hoveredId = null;
    this.spots = [];
    this.frame = 0;
  },

  onAdd(map) {
    this.canvas = L.DomUtil.create("canvas", "fleet-canvas leaflet-zoom-animated");
    this.canvas.setAttribute("aria-hidden", "true");
    // Above routes, below what is written on the map.
    const pane = map.getPane("drivers") ?? map.createPane("drivers");
    pane.style.zIndex = 450;
    pane.style.pointerEvents = "none";
    pane.append(this.canvas);
    this.paint();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  },

  getEvents() {
    const { draw, zoom } = this;
    return { move: draw, moveend: draw, resize: draw, viewreset: draw, zoomanim: zoom };
  },

  /** Draw soon, and go on while anybody glides. */
  refresh() {
    if (this.frame === 0) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
        const moving = performance.now() < this.drivers.movingUntilMs;
        if (moving && !this.calm && this.spots.length <= GLIDING_MAX) this.refresh();
      });
    }
  },

  /** The driver under a point of the map, or null. */
  at({ x, y }) {
    let nearest = null;
    let best = HIT_PX ** 2;
    for (const spot of this.spots) {
      const far = (spot.x - x) ** 2 + (spot.y - y) ** 2;
      if (far < best) [best, nearest] = [far, spot.id];
    }
    return nearest;
  },

  // Read the colours of the scheme and draw the sprites.
  paint() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.ink = colour("--ink");
    this.surface = colour("--raised");
    this.accent = colour("--accent");
    const fills = { live: colour("--driver"), old: colour("--idle"), chosen: colour("--accent") };
    this.ratio = Math.min(3, window.devicePixelRatio || 1);
    this.atlas = {};
    for (const [size, px] of [["near", NEAR_PX], ["far", FAR_PX]]) {
      this.atlas[size] = newAtlas(px, this.ratio, fills, colour("--driver-rim"));
    }
    this.refresh();
  },

  zoom({ zoom, center }) {
    const scale = this._map.getZoomScale(zoom, this.drawnZoom);
    const corner = this._map._latLngToNewLayerPoint(this.drawnCorner, zoom, center);
    L.DomUtil.setTransform(this.canvas, corner, scale);
  },

  draw() {
    const map = this._map;
    const size = map.getSize();
    this.place(map, size);
    const context = this.canvas.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, size.x, size.y);
    this.spots = this.find(map, size);
    const near = map.getZoom() >= NEAR_ZOOM;
    const px = near ? NEAR_PX : FAR_PX;
    const atlas = near ? this.atlas.near : this.atlas.far;
    let chosen = null;
    for (const spot of this.spots) {
      if (spot.id === this.chosenId) chosen = spot;
      else this.copy(context, atlas, px, spot, spot.old ? 1 : 0);
    }
    if (chosen !== null) this.drawChosen(context, chosen);
    const hovered = this.spots.find((spot) => spot.id === this.hoveredId);
    if (hovered) this.drawLabel(context, hovered);
  },

  place(map, size) {
    const corner = map.containerPointToLayerPoint([0, 0]);
    const [width, height] = [size.x * this.ratio, size.y * this.ratio].map(Math.round);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.canvas.style.width = `${size.x}px`;
      this.canvas.style.height = `${size.y}px`;
    }
    L.DomUtil.setPosition(this.canvas, corner);
    this.drawnZoom = map.getZoom();
    this.drawnCorner = map.containerPointToLatLng([0, 0]);
  },

  // Who is in view, and where on it; in the copy of the world that is looked at.
  find(map, size) {
    const nowMs = performance.now();
    const scale = 256 * 2 ** map.getZoom();
    const corner = map.getPixelBounds().min;
    const middle = (corner.x + size.x / 2) / scale;
    const still = this.calm || this.drivers.byId.size > GLIDING_MAX;
    const spots = [];
    for (const [id, driver] of this.drivers.byId) {
      const share = still ? 1 : shareOf(driver, nowMs);
      const worldX = driver.fromX + (driver.x - driver.fromX) * share;
      const worldY = driver.fromY + (driver.y - driver.fromY) * share;
      const x = (worldX + Math.round(middle - worldX)) * scale - corner.x;
      const y = worldY * scale - corner.y;
      if (x < -NEAR_PX || y < -NEAR_PX || x > size.x + NEAR_PX || y > size.y + NEAR_PX) continue;
      spots.push({ id, x, y, heading: driver.heading, old: this.isOld(driver.fix) });
    }
    return spots;
  },

  copy(context, atlas, px, spot, tone) {
    const column = spot.heading === null
      ? HEADINGS : Math.round((spot.heading / 360) * HEADINGS) % HEADINGS;
    const side = px * this.ratio;
    const [x, y] = [spot.x - px / 2, spot.y - px / 2];
    context.drawImage(atlas, column * side, tone * side, side, side, x, y, px, px);
  },

  drawChosen(context, spot) {
    context.beginPath();
    context.arc(spot.x, spot.y, 21, 0, 2 * Math.PI);
    context.globalAlpha = 0.18;
    context.fillStyle = this.accent;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 2;
    context.strokeStyle = this.accent;
    context.stroke();
    this.copy(context, this.atlas.near, NEAR_PX, spot, 2);
  },

  drawLabel(context, spot) {
    context.font = `600 13px ${getComputedStyle(document.body).fontFamily}`;
    const width = context.measureText(spot.id).width + 16;
    context.fillStyle = this.surface;
    context.beginPath();
    context.roundRect(spot.x - width / 2, spot.y - 46, width, 24, 8);
    context.fill();
    context.fillStyle = this.ink;
    context.textAlign = "center";
    context.fillText(spot.id, spot.x, spot.y - 29.5);
  },
});

// One row a tone, one column a heading, and a last column for those without.
function newAtlas(px, ratio, fills, rim) {
  const atlas = document.createElement("canvas");
  const side = px * ratio;
  atlas.width = side * (HEADINGS + 1);
  atlas.height = side * TONES.length;
  const context = atlas.getContext("2d");
  context.lineJoin = "round";
  TONES.forEach((tone, row) => {
    for (let column = 0; column <= HEADINGS; column += 1) {
      const unit = side / 30;
      context.setTransform(unit, 0, 0, unit, (column + 0.5) * side, (row + 0.5) * side);
      if (column < HEADINGS) context.rotate((column / HEADINGS) * 2 * Math.PI);
      trace(context, column < HEADINGS);
      context.lineWidth = 4;
      context.strokeStyle = rim;
      context.stroke();
      context.fillStyle = fills[tone];
      context.fill();
    }
  });
  return atlas;
}

function trace(context, pointed) {
  context.beginPath();
  if (pointed) {
    context.moveTo(0, -11);
    context.lineTo(8, 9);
    context.lineTo(0, 5);
    context.lineTo(-8, 9);
    context.closePath();
  } else {
    context.arc(0, 0, 6.5, 0, 2 * Math.PI);
  }
}
