// Names of the fences that are large enough on the map to bear one.

import { create } from "../../core/dom.js";
import { boxOf, middleOf } from "./shapes.js";

const L = window.L;
const NAMES_MAX = 40;
// Narrower fences are dots: their names would hide each other.
const WIDTH_PX_LEAST = 48;

export class FenceNames {
  constructor(map) {
    this.map = map;
    this.group = L.layerGroup().addTo(map);
    this.fences = [];
    map.on("moveend", () => this.draw());
  }

  set(fences) {
    this.fences = fences.map((fence) => ({ ...fence, bounds: boundsOf(fence.shape) }));
    this.draw();
  }

  draw() {
    this.group.clearLayers();
    const view = this.map.getBounds();
    const seen = this.fences.filter(({ bounds }) => {
      if (!view.intersects(bounds)) return false;
      const [west, east] = [bounds.getSouthWest(), bounds.getSouthEast()]
        .map((corner) => this.map.latLngToContainerPoint(corner).x);
      return east - west >= WIDTH_PX_LEAST;
    });
    // Where there are more than can be read there are none.
    if (seen.length > NAMES_MAX) return;
    for (const { name, active, shape } of seen) {
      const [lng, lat] = middleOf(shape);
      const text = create("span", active ? "" : "is-off", name);
      L.tooltip({ permanent: true, direction: "center", className: "fence-name", pane: "fences" })
        .setLatLng([lat, lng]).setContent(text).addTo(this.group);
    }
  }
}

function boundsOf(shape) {
  const { west, south, east, north } = boxOf(shape);
  const bounds = L.latLngBounds([south, west], [north, east]);
  const reach = (shape.radiusM ?? (shape.widthM ?? 0) / 2) * 2;
  return reach > 0 ? bounds.extend(bounds.getCenter().toBounds(reach)) : bounds;
}
