// How streets look: quiet colours, so that drivers, trails and areas stand out. Pure.

const LIGHT = {
  ground: "#eff1f1",
  town: "#e8eaec",
  work: "#e4e6ea",
  parking: "#e6e8eb",
  wood: "#d3e2d2",
  park: "#d8e8d3",
  grass: "#e2ebdc",
  pitch: "#cfe3cf",
  sand: "#efe9d8",
  rock: "#e6e5e2",
  ice: "#f6fafc",
  water: "#bcd3e2",
  building: "#dadee2",
  buildingEdge: "#cbd1d7",
  casing: "#d0d6dc",
  casingMain: "#d9c79f",
  motorway: "#f6dfb0",
  trunk: "#f8e6bf",
  primary: "#fbf0d2",
  road: "#ffffff",
  path: "#c3bcb0",
  rail: "#b3bac2",
  border: "#9a94ab",
  ferry: "#8fb0c8",
  names: "#4b5763",
  placeNames: "#26323d",
  waterNames: "#4d7896",
  parkNames: "#4c7350",
  numbers: "#7c8791",
  halo: "#f7f8f8e0",
  shield: "#f7ecd2",
};

const DARK = {
  ground: "#171d23",
  town: "#1b2229",
  work: "#1d242c",
  parking: "#1e262e",
  wood: "#17251f",
  park: "#1a2922",
  grass: "#1a251f",
  pitch: "#1d2f26",
  sand: "#25261f",
  rock: "#1f2326",
  ice: "#222c35",
  water: "#0f2a3d",
  building: "#222a33",
  buildingEdge: "#2c3641",
  casing: "#11161b",
  casingMain: "#14130f",
  motorway: "#5b5239",
  trunk: "#514a36",
  primary: "#454133",
  road: "#333e49",
  path: "#45413a",
  rail: "#3b4550",
  border: "#69647c",
  ferry: "#2f5570",
  names: "#b3bfca",
  placeNames: "#dfe6ed",
  waterNames: "#6fa0c2",
  parkNames: "#7fae86",
  numbers: "#7f8b96",
  halo: "#12171ce0",
  shield: "#3d3826",
};

/** The colours of a scheme. */
export const colours = (dark) => (dark ? DARK : LIGHT);

// Kind → widths of the road by the page's zoom, in pixels; between two it grows with the map.
const WIDTHS = {
  motorway: [[5, 0.8], [10, 2.4], [14, 6], [16, 12], [19, 34]],
  trunk: [[6, 0.7], [10, 2], [14, 5.5], [16, 11], [19, 32]],
  primary: [[8, 0.7], [12, 2.4], [14, 5], [16, 10], [19, 30]],
  secondary: [[9, 0.7], [12, 2], [14, 4.5], [16, 9], [19, 28]],
  tertiary: [[11, 0.8], [14, 3.6], [16, 8], [19, 26]],
  street: [[12, 0.6], [14, 2], [16, 7], [19, 24]],
  walk: [[13, 0.8], [16, 4], [19, 16]],
  service: [[13, 0.5], [15, 1.6], [16, 3], [19, 13]],
  path: [[13, 0.6], [16, 1.3], [19, 3]],
  rail: [[9, 0.6], [14, 1.2], [19, 3]],
  runway: [[11, 1.5], [14, 9], [19, 90]],
  taxiway: [[13, 1], [19, 30]],
  river: [[8, 0.7], [12, 1.6], [14, 2.6], [19, 14]],
  stream: [[13, 0.5], [16, 1.4], [19, 4]],
  border: [[5, 0.8], [12, 1.6], [19, 2.5]],
  ferry: [[10, 0.8], [19, 1.6]],
};

/** The width of a kind of line at a zoom of the page, in pixels; 0 for one that is not drawn. */
export function widthOf(kind, zoom) {
  const stops = WIDTHS[kind];
  if (stops === undefined) return 0;
  const after = stops.findIndex(([at]) => at >= zoom);
  if (after === 0) return stops[0][1] * 2 ** Math.max(-2, zoom - stops[0][0]);
  if (after === -1) return stops.at(-1)[1];
  const [[low, from], [high, to]] = [stops[after - 1], stops[after]];
  return from * (to / from) ** ((zoom - low) / (high - low));
}

/** Roads from the lowest to the one drawn last, each with its colour and that of its edge. */
export const ROADS = [
  ["path", "path", null],
  ["service", "road", "casing"],
  ["walk", "road", "casing"],
  ["street", "road", "casing"],
  ["tertiary", "road", "casing"],
  ["secondary", "road", "casing"],
  ["primary", "primary", "casingMain"],
  ["trunk", "trunk", "casingMain"],
  ["motorway", "motorway", "casingMain"],
  ["taxiway", "parking", null],
  ["runway", "parking", null],
  ["rail", "rail", null],
];

/** Grounds in the order in which they lie on each other. */
export const GROUNDS = [
  "town", "work", "rock", "sand", "grass", "wood", "park", "ice", "pitch", "parking",
];

/** Lines that are no roads: kind, colour, dashes in widths. */
export const LINES = [
  ["river", "water", []],
  ["stream", "water", []],
  ["ferry", "ferry", [4, 4]],
  ["border", "border", [5, 3]],
];
