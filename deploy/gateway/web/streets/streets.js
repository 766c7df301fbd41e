// Lays the streets of this host under a map.

import { StreetLayer } from "./layer.js";
import { NameLayer } from "./names.js";
import { Source } from "./source.js";

const L = window.L;

/** Streets, their names, and the word of thanks that the licence asks for. */
export function layStreets(map, index) {
  let layer = null;
  const source = new Source(index, { onChange: () => layer.redraw() });
  layer = new StreetLayer(source, { minZoom: source.zoomMin + 1, maxZoom: map.getMaxZoom() });
  layer.addTo(map);
  new NameLayer(layer).addTo(map);
  map.getContainer().classList.add("has-streets");
  const control = L.control.attribution({ prefix: false }).addTo(map);
  control.addAttribution(linkTo(index.attribution_url, index.attribution));
  // In the corner itself, below the scale.
  control.getContainer().parentNode.append(control.getContainer());
}

// Leaflet takes attributions as HTML; what is in it is made of text.
function linkTo(url, text) {
  const link = document.createElement("a");
  if (/^https:\/\//.test(url)) link.href = url;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.textContent = text;
  return link.outerHTML;
}
