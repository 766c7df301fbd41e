// What the map is drawn on: the tiles that the settings name, or else the streets that this host
// has, or else a quiet grid of dots.

import { readStreetIndex } from "./street_index.js";

const L = window.L;
const ZOOM_MAX = 19;

/** A Leaflet map in `element`, with its ground, a scale, and keys that work. */
export function newMap(element, config, { zoomPosition = "topright" } = {}) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const map = L.map(element, {
    zoomControl: false,
    attributionControl: Boolean(config.tile_url),
    minZoom: 2,
    maxZoom: ZOOM_MAX,
    worldCopyJump: true,
    zoomAnimation: !calm,
    fadeAnimation: !calm,
    markerZoomAnimation: !calm,
    inertia: !calm,
  });
  L.control.scale({ imperial: false, position: "bottomright" }).addTo(map);
  L.control.zoom({ position: zoomPosition }).addTo(map);
  map.attributionControl?.setPrefix(false);
  element.classList.toggle("has-tiles", Boolean(config.tile_url));
  if (config.tile_url) tiles(config).addTo(map);
  else {
    layDots(map);
    // What does not load leaves the dots.
    layStreets(map).catch(() => {});
  }
  return map;
}

// Most of it is loaded only where there are streets.
async function layStreets(map) {
  const index = await readStreetIndex();
  if (index === null) return;
  const streets = await import("../streets/streets.js");
  streets.layStreets(map, index);
}

function tiles(config) {
  return L.tileLayer(config.tile_url, {
    maxZoom: ZOOM_MAX,
    attribution: plain(config.tile_attribution),
    // Tile servers want to know the site, and get no more: the page's address names an order.
    referrerPolicy: "strict-origin",
  });
}

// A background that moves along: no elements, and nothing to load.
function layDots(map) {
  const element = map.getContainer();
  element.classList.add("dots");
  const follow = () => {
    const corner = map.getPixelBounds()?.min;
    if (corner) element.style.backgroundPosition = `${-corner.x}px ${-corner.y}px`;
  };
  map.on("move viewreset resize", follow);
}

// Leaflet takes attributions as HTML; ours is text.
function plain(text) {
  const holder = document.createElement("span");
  holder.textContent = text;
  return holder.innerHTML;
}
