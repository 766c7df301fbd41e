// Where a driver was in the last hour: its pages one after the other, as one line on the map.

import { getJson } from "../core/request.js";

const L = window.L;
const HOUR_MS = 3_600_000;
const PAGE_POINTS = 2_000;
// A fix a second makes 3,600 in an hour.
const PAGES_MAX = 10;

/** {points: [[lat, lng], …], status}: status of the request that ended it. */
export async function fetchRoute(driverId, { token, nowMs }) {
  const query = new URLSearchParams({
    start_time: new Date(nowMs - HOUR_MS).toISOString(),
    end_time: new Date(nowMs + 60_000).toISOString(),
    limit: String(PAGE_POINTS),
    format: "geojson",
  });
  const points = [];
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const path = `/api/v1/drivers/${encodeURIComponent(driverId)}/route?${query}`;
    const { status, body } = await getJson(path, { token, timeoutMs: 15_000 });
    if (status !== 200) return { points, status };
    for (const [longitude, latitude] of lineOf(body?.geometry)) points.push([latitude, longitude]);
    const cursor = body?.properties?.next_cursor;
    if (!cursor) break;
    query.set("cursor", cursor);
  }
  return { points, status: 200 };
}

function lineOf(geometry) {
  if (geometry?.type === "LineString") return geometry.coordinates;
  // Cut at 180°; each part ends on the edge and the next begins on the other side.
  if (geometry?.type === "MultiLineString") return geometry.coordinates.flat();
  return geometry?.type === "Point" ? [geometry.coordinates] : [];
}

/** The line on the map; grows as the driver goes on. */
export class RouteLine {
  constructor(map) {
    const line = (className) => L.polyline([], { className, interactive: false }).addTo(map);
    this.lines = [line("route-rim"), line("route-line")];
  }

  set(points) {
    for (const line of this.lines) line.setLatLngs(points);
  }

  add(fix) {
    for (const line of this.lines) line.addLatLng([fix.latitude, fix.longitude]);
  }

  clear() {
    this.set([]);
  }
}
