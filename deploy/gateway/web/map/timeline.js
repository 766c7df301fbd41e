// A driver's day as a list of trips and stops in order of time. Pure.

import { clockText, distanceText, durationText } from "../core/day.js";

/** Trips (GeoJSON features) and stops (items of the API) as entries of a timeline. `leftS` and
 *  `widthS`: what of the day they fill, in seconds from its start. */
export function timelineOf(trips, stops, { startMs, endMs }) {
  const entries = [
    ...trips.map(({ geometry, properties }) => ({ kind: "trip", geometry, item: properties })),
    ...stops.map((item) => ({ kind: "stop", geometry: null, item })),
  ];
  for (const entry of entries) {
    entry.fromMs = Date.parse(entry.item.start_time);
    entry.toMs = Date.parse(entry.item.end_time);
    const begin = Math.max(entry.fromMs, startMs);
    entry.left = (begin - startMs) / (endMs - startMs);
    entry.width = (Math.min(entry.toMs, endMs) - begin) / (endMs - startMs);
    Object.assign(entry, textsOf(entry));
  }
  return entries.sort((a, b) => a.fromMs - b.fromMs || a.toMs - b.toMs);
}

function textsOf({ kind, item, fromMs, toMs }) {
  const end = item.open ? "now" : clockText(toMs);
  const time = `${clockText(fromMs)} – ${end}`;
  const span = durationText(item.duration_s);
  if (kind === "stop") return { time, title: "Stop", detail: span };
  const top = item.max_speed === null ? "" : ` · up to ${Math.round(item.max_speed)} km/h`;
  return { time, title: "Trip", detail: `${distanceText(item.distance_m)} · ${span}${top}` };
}

/** What the day was, in a line. */
export function sumText(total) {
  if (total === null || total.fixes === 0) return "Nothing was recorded on this day.";
  const trips = total.trips === 1 ? "1 trip" : `${total.trips} trips`;
  const stops = total.stops === 1 ? "1 stop" : `${total.stops} stops`;
  return `${distanceText(total.distance_m)} · ${trips} · ${stops} · `
    + `moving ${durationText(total.moving_s)}, standing ${durationText(total.stopped_s)}`;
}

/** GeoJSON positions as Leaflet takes them: lines of [latitude, longitude]. */
export function linesOf(geometry) {
  const turned = (line) => line.map(([longitude, latitude]) => [latitude, longitude]);
  if (geometry === null || geometry.type === "Point") return [];
  return geometry.type === "LineString"
    ? [turned(geometry.coordinates)] : geometry.coordinates.map(turned);
}
