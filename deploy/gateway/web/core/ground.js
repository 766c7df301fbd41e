// What the map is drawn on: the tiles that the settings name, or a quiet grid of dots that asks
// nobody for anything.

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
  else layDots(map);
  return map;
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
