// The table of a day: columns, order, and a line of distance by hour. Pure.

import { clockText, distanceText, durationText } from "../core/day.js";

const km = (driver) => distanceText(driver.distance_m);
const count = (name) => (driver) => String(driver[name]);
const time = (name) => (driver) => durationText(driver[name]);
const at = (name) => (driver) =>
  driver[name] === null ? "–" : clockText(Date.parse(driver[name]));

/** `key`: of the API's answer. The first click sorts numbers downwards and names upwards. */
export const COLUMNS = [
  { key: "driver_id", title: "Driver", text: (driver) => driver.driver_id, name: true },
  { key: "buckets", title: "By hour", text: null },
  { key: "distance_m", title: "Distance", text: km },
  { key: "trips", title: "Trips", text: count("trips") },
  { key: "stops", title: "Stops", text: count("stops") },
  { key: "moving_s", title: "Moving", text: time("moving_s") },
  { key: "stopped_s", title: "Standing", text: time("stopped_s") },
  { key: "gap_s", title: "No signal", text: time("gap_s") },
  { key: "over_limit_s", title: "Too fast", text: time("over_limit_s") },
  {
    key: "max_speed", title: "Top speed",
    text: ({ max_speed: top }) => (top === null ? "–" : `${Math.round(top)} km/h`),
  },
  { key: "first", title: "First", text: at("first") },
  { key: "last", title: "Last", text: at("last") },
];

/** Drivers in another order; those without a value stand last either way. */
export function sorted(drivers, key, down) {
  const sign = down ? -1 : 1;
  return [...drivers].sort((a, b) => {
    const [x, y] = [a[key], b[key]];
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "number" ? x - y : x < y ? -1 : Number(x > y);
    return order === 0 ? (a.driver_id < b.driver_id ? -1 : 1) : sign * order;
  });
}

/** Metres in each hour of the day that begins at `startMs`. */
export function hoursOf(buckets, { startMs, endMs }) {
  const hours = new Array(Math.round((endMs - startMs) / 3_600_000)).fill(0);
  for (const { start_time: start, distance_m: metres } of buckets ?? []) {
    const hour = Math.floor((Date.parse(start) - startMs) / 3_600_000);
    if (hour >= 0 && hour < hours.length) hours[hour] += metres;
  }
  return hours;
}

/** The path of a line in a box of `width` by `height`, from the left to the right. */
export function sparkline(values, width, height) {
  const most = Math.max(...values, 1);
  const step = width / Math.max(1, values.length - 1);
  const point = (value, i) =>
    `${(i * step).toFixed(1)},${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`;
  return `M${values.map(point).join("L")}`;
}

/** What the line says in words. */
export function sparkText(hours, startMs) {
  const most = Math.max(...hours);
  if (most === 0) return "no distance";
  const when = clockText(startMs + hours.indexOf(most) * 3_600_000);
  return `most at ${when}: ${distanceText(most)}`;
}

/** The total of some drivers, as names and texts. */
export function totalsOf(drivers) {
  const sum = (key) => drivers.reduce((all, driver) => all + driver[key], 0);
  const tracked = sum("moving_s") + sum("stopped_s");
  const share = tracked > 0 ? `\u00a0(${Math.round((sum("moving_s") / tracked) * 100)}\u00a0%)` : "";
  return [
    ["Drivers", String(drivers.length)],
    ["Distance", distanceText(sum("distance_m"))],
    ["Trips", String(sum("trips"))],
    ["Stops", String(sum("stops"))],
    ["Moving", durationText(sum("moving_s")) + share],
    ["Standing", durationText(sum("stopped_s"))],
  ];
}

/** Opacity of a cell: by the logarithm, since few cells hold most. */
export function shadeOf(value, most) {
  return most > 1 ? 0.18 + 0.67 * (Math.log(1 + value) / Math.log(1 + most)) : 0.6;
}
