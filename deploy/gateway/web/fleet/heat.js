// The heat layer: cells of an hour of the day, chosen with a slider.

import { clockText, spanQuery } from "../core/day.js";
import { byId, setShown, setText } from "../core/dom.js";
import { getJson } from "../core/request.js";
import { shadeOf } from "./model.js";

const L = window.L;
const HOUR_MS = 3_600_000;
// A slider that is still being moved asks for nothing.
const ASK_AFTER_MS = 250;
// Of one, and of several.
const UNITS = {
  drivers: ["driver", "drivers"],
  fixes: ["fix", "fixes"],
  stops: ["stop", "stops"],
  speed: ["km/h", "km/h"],
};
const amountText = (value, of) => `${value} ${UNITS[of][value === 1 ? 0 : 1]}`;

export class Heat {
  constructor({ map, token, calm }) {
    Object.assign(this, { map, token, calm });
    this.renderer = L.canvas({ padding: 0.2 });
    this.layer = L.featureGroup().addTo(map);
    this.features = [];
    this.placed = false;
    this.asked = 0;
    byId("hour").addEventListener("input", () => this.moved());
    byId("of").addEventListener("change", () => this.load());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Another day; `hour`: where the slider begins. */
  set(span, hour) {
    this.span = span;
    this.placed = false;
    const hours = Math.round((span.endMs - span.startMs) / HOUR_MS);
    byId("hour").max = String(hours - 1);
    byId("hour").value = String(Math.min(hour, hours - 1));
    this.moved();
  }

  moved() {
    const startMs = this.hourMs();
    const text = `${clockText(startMs)} – ${clockText(startMs + HOUR_MS)}`;
    setText(byId("hour-text"), text);
    byId("hour").setAttribute("aria-valuetext", text);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), ASK_AFTER_MS);
  }

  hourMs() {
    return this.span.startMs + Number(byId("hour").value) * HOUR_MS;
  }

  async load() {
    this.asked += 1;
    const asked = this.asked;
    const startMs = this.hourMs();
    const query = spanQuery({ startMs, endMs: startMs + HOUR_MS });
    const path = `/api/v1/fleet/heat?${query}&of=${byId("of").value}&format=geojson`;
    const { status, body } = await getJson(path, { token: this.token, timeoutMs: 15_000 });
    if (asked !== this.asked) return;
    this.features = status === 200 ? body.features : [];
    this.draw();
    this.say(status);
  }

  say(status) {
    const of = byId("of").value;
    const count = this.features.length;
    if (status !== 200) {
      setText(byId("heat-text"), status === 503
        ? "The heat map cannot be read now." : "The heat map could not be read.");
    } else if (count === 0) {
      setText(byId("heat-text"), "Nothing in this hour.");
    } else {
      const { value } = this.features[0].properties;
      const areas = count === 1 ? "1 area" : `${count} areas`;
      setText(byId("heat-text"), `${areas} of about a kilometre; at most ${amountText(value, of)}.`);
    }
  }

  draw() {
    this.layer.clearLayers();
    const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    const most = this.features[0]?.properties.value ?? 0;
    for (const { geometry, properties } of this.features) {
      const ring = geometry.coordinates[0].map(([longitude, latitude]) => [latitude, longitude]);
      L.polygon(ring, {
        renderer: this.renderer,
        stroke: false,
        fillColor: accent,
        fillOpacity: shadeOf(properties.value, most),
        interactive: true,
      }).bindTooltip(amountText(properties.value, byId("of").value)).addTo(this.layer);
    }
    setShown(byId("heat"), true);
    if (!this.placed && this.features.length > 0) {
      this.placed = true;
      this.map.invalidateSize();
      this.map.fitBounds(this.layer.getBounds(), { animate: false, maxZoom: 13 });
    }
  }
}
