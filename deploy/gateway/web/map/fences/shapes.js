// Fences as shapes: read, asked, changed, written. Pure.
//
// A shape is { kind, parts, radiusM, widthM }. `parts` are lists of rings of [longitude, latitude],
// open (the first point is not repeated) and unwound: what crosses 180° goes on beyond it. A circle
// is one ring of one point, a corridor one ring that is its line.

import { distanceM } from "../../core/geo.js";

const KINDS = {
  Polygon: "area", MultiPolygon: "area", Point: "circle", LineString: "corridor",
};
const M_PER_DEGREE = 111_195;
const CORNERS_LEAST = { area: 3, corridor: 2, circle: 1 };

/** A geofence of the API as { id, name, active, shape, row }. */
export function readFence(row) {
  const { type, coordinates } = row.geometry;
  const kind = KINDS[type];
  const raw = {
    Polygon: () => [coordinates], MultiPolygon: () => coordinates,
    Point: () => [[[coordinates]]], LineString: () => [[coordinates]],
  }[type]();
  const open = (ring) => (kind === "area" ? ring.slice(0, -1) : ring);
  const parts = raw.map((rings) => rings.map((ring) => unwound(open(ring))));
  const shape = { kind, parts, radiusM: row.radius_m, widthM: row.width_m };
  return { id: row.geofence_id, name: row.name, active: row.active, shape, row };
}

/** The points with each step the short way round. */
export function unwound(points) {
  let shift = 0;
  let before = points[0][0];
  return points.map(([lng, lat]) => {
    if (lng - before > 180) shift -= 360;
    if (lng - before < -180) shift += 360;
    before = lng;
    return [lng + shift, lat];
  });
}

/** GeoJSON of a shape, with longitudes within -180…180. */
export function geometryOf({ kind, parts }) {
  const point = ([lng, lat]) => [round(wrapped(lng)), round(lat)];
  if (kind === "circle") return { type: "Point", coordinates: point(parts[0][0][0]) };
  if (kind === "corridor") return { type: "LineString", coordinates: parts[0][0].map(point) };
  const rings = (part) => part.map((ring) => [...ring, ring[0]].map(point));
  return parts.length === 1
    ? { type: "Polygon", coordinates: rings(parts[0]) }
    : { type: "MultiPolygon", coordinates: parts.map(rings) };
}

/** Whether a place lies in a shape, in whichever copy of the world. */
export function holds({ kind, parts, radiusM, widthM }, { lat, lng }) {
  const near = nearTo(lng, parts[0][0][0][0]);
  if (kind === "circle") return metres([near, lat], parts[0][0][0]) <= radiusM;
  if (kind === "corridor") return lineM([near, lat], parts[0][0]) <= widthM / 2;
  return [near, near - 360, near + 360].some((x) =>
    // Holes are rings too: what is in an even number of rings is outside.
    parts.some((rings) => rings.filter((ring) => inRing(x, lat, ring)).length % 2 === 1));
}

/** About how large: to tell which of several is the smallest. */
export function sizeOf({ kind, parts, radiusM, widthM }) {
  if (kind === "circle") return Math.PI * radiusM ** 2;
  const box = boxOf({ parts });
  const tall = (box.north - box.south) * M_PER_DEGREE + (widthM ?? 0);
  return tall * ((box.east - box.west) * eastM(box.south) + (widthM ?? 0));
}

/** West, south, east and north of a shape's points. */
export function boxOf({ parts }) {
  const points = parts.flat(2);
  const [lngs, lats] = [points.map((p) => p[0]), points.map((p) => p[1])];
  const least = (values) => values.reduce((a, b) => Math.min(a, b));
  const most = (values) => values.reduce((a, b) => Math.max(a, b));
  return { west: least(lngs), south: least(lats), east: most(lngs), north: most(lats) };
}

/** The middle of a shape's box. */
export function middleOf(shape) {
  const { west, south, east, north } = boxOf(shape);
  return [(west + east) / 2, (south + north) / 2];
}

/** The shape moved as a whole, so that its middle is at a place; its size in metres stays. */
export function movedTo(shape, [lng, lat]) {
  const [fromLng, fromLat] = middleOf(shape);
  const wider = Math.cos(radians(fromLat)) / Math.max(Math.cos(radians(lat)), 0.01);
  const point = ([x, y]) => [lng + (x - fromLng) * wider, clamped(lat + y - fromLat)];
  return { ...shape, parts: shape.parts.map((rings) => rings.map((ring) => ring.map(point))) };
}

/** The shape with one of its points elsewhere. */
export function withPoint(shape, [part, ring, place], point) {
  return changedRing(shape, part, ring, (points) =>
    points.map((old, n) => (n === place ? [point[0], clamped(point[1])] : old)));
}

/** The shape with a new point after one. */
export function withCorner(shape, [part, ring, place], point) {
  return changedRing(shape, part, ring, (points) =>
    [...points.slice(0, place + 1), point, ...points.slice(place + 1)]);
}

/** The shape without one of its points; itself where it needs them all. */
export function withoutCorner(shape, [part, ring, place]) {
  if (shape.parts[part][ring].length <= CORNERS_LEAST[shape.kind]) return shape;
  return changedRing(shape, part, ring, (points) => points.filter((_, n) => n !== place));
}

/** The middles of a shape's edges, each with the place of the point before it. */
export function edgesOf({ kind, parts }) {
  if (kind === "circle") return [];
  return parts.flatMap((rings, part) => rings.flatMap((ring, number) =>
    ring.slice(0, kind === "corridor" ? -1 : undefined).map(([lng, lat], place) => {
      const [nextLng, nextLat] = ring[(place + 1) % ring.length];
      return { at: [part, number, place], point: [(lng + nextLng) / 2, (lat + nextLat) / 2] };
    })));
}

/** A place so many metres east of another. */
export function eastOf([lng, lat], distance) {
  return [lng + distance / eastM(lat), lat];
}

/** A new circle, or a new square area, about a place. */
export function newShape(kind, [lng, lat], reachM) {
  if (kind === "circle") {
    return { kind, parts: [[[[lng, lat]]]], radiusM: Math.round(reachM), widthM: null };
  }
  const [x, y] = [reachM / eastM(lat), reachM / M_PER_DEGREE];
  const square = [[lng - x, lat - y], [lng + x, lat - y], [lng + x, lat + y], [lng - x, lat + y]];
  return { kind, parts: [[square]], radiusM: null, widthM: null };
}

/** Metres between two points. */
export function metres(a, b) {
  return distanceM(
    { latitude: a[1], longitude: a[0] }, { latitude: b[1], longitude: b[0] },
  );
}

/** An id for a fence that was just drawn, out of its name and chance. */
export function newId(name, random = Math.random) {
  const words = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  const mark = Math.floor(random() * 36 ** 5).toString(36).padStart(5, "0");
  return `${words.slice(0, 40).replace(/-+$/, "") || "fence"}-${mark}`;
}

const radians = (degrees) => (degrees * Math.PI) / 180;
const clamped = (lat) => Math.max(-90, Math.min(90, lat));
const wrapped = (lng) => ((((lng + 180) % 360) + 360) % 360) - 180;
// Tenths of a metre: more digits say nothing.
const round = (value) => Math.round(value * 1e6) / 1e6;
const eastM = (lat) => M_PER_DEGREE * Math.max(Math.cos(radians(lat)), 0.01);
const nearTo = (lng, other) => lng + 360 * Math.round((other - lng) / 360);

function changedRing(shape, part, ring, change) {
  const parts = shape.parts.map((rings, p) =>
    rings.map((points, r) => (p === part && r === ring ? change(points) : points)));
  return { ...shape, parts };
}

function inRing(x, y, ring) {
  let inside = false;
  let [x1, y1] = ring[ring.length - 1];
  for (const [x2, y2] of ring) {
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside;
    [x1, y1] = [x2, y2];
  }
  return inside;
}

// Metres from a point to a line, on a plane at the point's latitude.
function lineM([lng, lat], line) {
  const flat = line.map(([x, y]) => [(x - lng) * eastM(lat), (y - lat) * M_PER_DEGREE]);
  let best = Math.hypot(...flat[0]);
  for (let n = 1; n < flat.length; n += 1) {
    const [[ax, ay], [bx, by]] = [flat[n - 1], flat[n]];
    const [dx, dy] = [bx - ax, by - ay];
    const length = dx * dx + dy * dy;
    const share = length === 0 ? 0 : Math.max(0, Math.min(1, -(ax * dx + ay * dy) / length));
    best = Math.min(best, Math.hypot(ax + share * dx, ay + share * dy));
  }
  return best;
}
