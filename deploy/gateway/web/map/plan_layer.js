// The routes of a plan on the map: a line and numbered stops each, in a colour of its own.

const L = window.L;
// Hues so far apart that neighbours differ, however many there are.
const GOLDEN_ANGLE = 137.508;

export class PlanLayer {
  constructor(map) {
    this.group = L.featureGroup().addTo(map);
    this.routes = [];
  }

  colour(i) {
    return `hsl(${Math.round((220 + i * GOLDEN_ANGLE) % 360)} 70% 46%)`;
  }

  /** Draw these routes instead; whether there was a place to draw. */
  set(routes) {
    this.group.clearLayers();
    this.routes = routes.map((route, i) => this.draw(route, i));
    this.chosen = null;
    return this.routes.some((layer) => layer !== null);
  }

  draw(route, i) {
    const stops = route.stops.filter(({ at }) => isPlace(at));
    if (stops.length === 0) return null;
    const line = lineOf(route.geometry);
    const points = line ?? stops.map(({ at }) => [at.latitude, at.longitude]);
    const layer = L.featureGroup().addTo(this.group);
    const color = this.colour(i);
    L.polyline(points, {
      color, weight: 4, opacity: .85, interactive: false,
      // What is only guessed is no road.
      ...(line === null && { dashArray: "2 8" }),
    }).addTo(layer);
    let number = 0;
    for (const stop of stops) {
      const isEnd = stop.type === "start" || stop.type === "end";
      if (!isEnd) number += 1;
      mark(stop, isEnd ? "" : String(number), color).addTo(layer);
    }
    return layer;
  }

  /** Let one route stand out; its bounds, or null where it is not drawn. A second time: all. */
  choose(i) {
    this.chosen = this.chosen === i ? null : i;
    this.routes.forEach((layer, n) => {
      const isShown = this.chosen === null || n === this.chosen;
      if (layer === null) return;
      if (isShown) this.group.addLayer(layer);
      else this.group.removeLayer(layer);
    });
    return this.chosen === null ? this.bounds() : this.routes[i]?.getBounds() ?? null;
  }

  bounds() {
    return this.group.getBounds();
  }
}

function mark(stop, text, color) {
  const icon = L.divIcon({ className: `plan-stop ${stop.type}`, iconSize: [22, 22], html: "" });
  const marker = L.marker([stop.at.latitude, stop.at.longitude], {
    icon, keyboard: false, title: [stop.type, stop.id, clock(stop.arrival_at)].filter(Boolean).join(" · "),
  });
  marker.on("add", () => {
    const element = marker.getElement();
    element.textContent = text;
    element.style.background = color;
  });
  return marker;
}

function clock(time) {
  const atMs = typeof time === "string" ? Date.parse(time) : NaN;
  return Number.isNaN(atMs) ? "" : new Date(atMs).toLocaleTimeString();
}

function isPlace(at) {
  return Number.isFinite(at?.latitude) && Number.isFinite(at?.longitude);
}

function lineOf(geometry) {
  if (geometry?.type !== "LineString" || !Array.isArray(geometry.coordinates)) return null;
  return geometry.coordinates.map(([longitude, latitude]) => [latitude, longitude]);
}
