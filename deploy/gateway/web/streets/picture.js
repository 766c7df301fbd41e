// A decoded tile as shapes that a canvas draws, and the drawing of it.

import { GROUNDS, LINES, ROADS, widthOf } from "./palette.js";

/** Units along the side of a tile. */
export const EXTENT = 4096;
const EDGE_PX = 1;
// From this zoom of the page on: an edge round each building, and dashes that show which lines
// are paths. Before, they are one grey.
const EDGES_ZOOM = 16;
const LEVELS = [-1, 0, 1];

/** Shapes by what they are drawn as: Map of "layer/kind/level" → Path2D, in units of the tile. */
export function shapesOf(layers) {
  const shapes = new Map();
  for (const layer of ["land", "water", "building", "line", "road"]) {
    for (const { type, facts, paths } of layers[layer] ?? []) {
      if (type === "point") continue;
      const key = `${layer}/${facts.kind}/${facts.level ?? 0}`;
      if (!shapes.has(key)) shapes.set(key, new Path2D());
      const shape = shapes.get(key);
      for (const path of paths) trace(shape, path, type === "area");
    }
  }
  return shapes;
}

function trace(shape, path, closed) {
  shape.moveTo(path[0], path[1]);
  for (let i = 2; i < path.length; i += 2) shape.lineTo(path[i], path[i + 1]);
  if (closed) shape.closePath();
}

/** Draw a tile's shapes. `scale`: pixels of the page a unit; `place`: where its corner lies. */
export function draw(context, shapes, { zoom, scale, place, ratio, colours }) {
  context.setTransform(scale * ratio, 0, 0, scale * ratio, place.x * ratio, place.y * ratio);
  context.lineJoin = "round";
  const pen = { context, shapes, zoom, unit: 1 / scale, colours };
  for (const kind of GROUNDS) fill(pen, `land/${kind}/0`, kind);
  fill(pen, "water/water/0", "water");
  for (const [kind, colour, dashes] of LINES) {
    if (kind !== "border") line(pen, `line/${kind}/0`, { colour, width: widthOf(kind, zoom), dashes });
  }
  drawBuildings(pen);
  for (const level of LEVELS) drawRoads(pen, level);
  const width = widthOf("border", zoom);
  line(pen, "line/border/0", { colour: "border", width, dashes: LINES.at(-1)[2] });
}

function drawBuildings(pen) {
  fill(pen, "building/building/0", "building");
  if (pen.zoom >= EDGES_ZOOM) {
    line(pen, "building/building/0", { colour: "buildingEdge", width: EDGE_PX, dashes: [] });
  }
}

// All edges before all roads: where two meet there is no line across.
function drawRoads(pen, level) {
  for (const [kind, , edge] of ROADS) {
    const width = widthOf(kind, pen.zoom);
    if (edge === null || width < 2) continue;
    const dashes = level < 0 ? [1, 1] : [];
    const cap = level === 0 ? "round" : "butt";
    line(pen, `road/${kind}/${level}`, { colour: edge, width: width + 2 * EDGE_PX, dashes, cap });
  }
  for (const [kind, colour] of ROADS) {
    const dashes = kind === "path" && pen.zoom >= EDGES_ZOOM ? [3, 2] : [];
    const alpha = level < 0 ? 0.5 : 1;
    const width = widthOf(kind, pen.zoom);
    line(pen, `road/${kind}/${level}`, { colour, width, dashes, alpha, cap: "round" });
  }
}

function fill({ context, shapes, colours }, key, colour) {
  const shape = shapes.get(key);
  if (shape === undefined) return;
  context.fillStyle = colours[colour];
  // Holes turn the other way round; areas that lie on each other stay filled.
  context.fill(shape, "nonzero");
}

function line({ context, shapes, colours, unit }, key, { colour, width, dashes, alpha = 1, cap = "butt" }) {
  const shape = shapes.get(key);
  if (shape === undefined) return;
  context.globalAlpha = alpha;
  context.strokeStyle = colours[colour];
  context.lineCap = dashes.length > 0 ? "butt" : cap;
  context.lineWidth = width * unit;
  context.setLineDash(dashes.map((part) => part * Math.max(width, 1) * unit));
  context.stroke(shape);
  context.setLineDash([]);
  context.globalAlpha = 1;
}
