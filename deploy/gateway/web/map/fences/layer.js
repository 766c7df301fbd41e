// Fences on the map, below the drivers: all of them on one canvas, the open one above it.

import { FenceNames } from "./names.js";
import { holds, middleOf, sizeOf } from "./shapes.js";

const L = window.L;
const LIKE = {
  on: { weight: 2, fillOpacity: 0.1, opacity: 0.8, dashArray: null },
  off: { weight: 2, fillOpacity: 0.04, opacity: 0.5, dashArray: "4 6" },
};

export class FenceLayer {
  constructor(map) {
    this.map = map;
    this.fences = [];
    this.corridors = [];
    const pane = map.createPane("fences");
    pane.style.zIndex = 350;
    // Clicks are the map's: it knows where drivers are, which come first.
    pane.style.pointerEvents = "none";
    this.renderer = L.canvas({ pane: "fences", padding: 0.2 });
    this.group = L.layerGroup().addTo(map);
    this.names = new FenceNames(map);
    this.openId = null;
    map.on("zoomend", () => this.widen());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  set(fences) {
    this.fences = fences;
    this.draw();
  }

  /** Leave one out: it is drawn by those who change it. */
  open(id) {
    this.openId = id;
    this.draw();
  }

  /** The smallest fence that holds a place, or null. */
  at(latLng) {
    let found = null;
    for (const fence of this.fences) {
      if (!holds(fence.shape, latLng)) continue;
      if (found === null || sizeOf(fence.shape) < sizeOf(found.shape)) found = fence;
    }
    return found;
  }

  draw() {
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--fence").trim();
    this.group.clearLayers();
    this.names.set(this.fences.filter(({ id }) => id !== this.openId));
    this.corridors = [];
    for (const { id, active, shape } of this.fences) {
      if (id === this.openId) continue;
      const like = active ? LIKE.on : LIKE.off;
      const options = { renderer: this.renderer, interactive: false, color: colour, ...like };
      const layer = layerOf(shape, options).addTo(this.group);
      if (shape.kind === "corridor") this.corridors.push({ layer, shape });
    }
    this.widen();
  }

  widen() {
    for (const { layer, shape } of this.corridors) {
      layer.setStyle({ weight: widthPx(this.map, shape), opacity: 0.3 });
    }
  }
}

/** A shape as Leaflet draws it. */
export function layerOf(shape, options) {
  const { kind, parts, radiusM } = shape;
  const turned = (ring) => ring.map(([lng, lat]) => [lat, lng]);
  if (kind === "circle") return L.circle(turned(parts[0][0])[0], { ...options, radius: radiusM });
  if (kind === "corridor") return L.polyline(turned(parts[0][0]), options);
  return L.polygon(parts.map((rings) => rings.map(turned)), options);
}

/** How wide a corridor is on the map now, in pixels. */
export function widthPx(map, shape) {
  const [, lat] = middleOf(shape);
  const perPx = (40_075_017 * Math.cos((lat * Math.PI) / 180)) / 256 / 2 ** map.getZoom();
  return Math.max(3, shape.widthM / perPx);
}
