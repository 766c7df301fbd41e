// Days and spans of time as people read them, in this browser's time zone. Pure but for the zone.

/** The browser's time zone, as the API takes it. */
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const two = (number) => String(number).padStart(2, "0");

/** "2026-03-01": the day of a moment. */
export function dayOf(ms) {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** Begin and end of a day, in ms; null where the text names none. Days of 23 and 25 hours too. */
export function spanOf(day) {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day);
  if (match === null) return null;
  const [year, month, date] = match.slice(1).map(Number);
  const start = new Date(year, month - 1, date);
  if (start.getMonth() !== month - 1) return null;
  return { startMs: start.getTime(), endMs: new Date(year, month - 1, date + 1).getTime() };
}

/** The day some days later. */
export function dayAfter(day, days) {
  const [year, month, date] = day.split("-").map(Number);
  return dayOf(new Date(year, month - 1, date + days, 12).getTime());
}

/** "start_time=…&end_time=…" of a span, for the API. */
export function spanQuery({ startMs, endMs }) {
  const text = (ms) => encodeURIComponent(new Date(ms).toISOString());
  return `start_time=${text(startMs)}&end_time=${text(endMs)}`;
}

/** "08:05". */
export function clockText(ms) {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** "45 s", "12 min", "3 h 05 min". */
export function durationText(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** "850 m", "12.4 km", "1 204 km". */
export function distanceText(metres) {
  if (metres < 1000) return `${Math.round(metres)} m`;
  const km = metres / 1000;
  return `${km < 100 ? km.toFixed(1) : String(Math.round(km)).replace(/\B(?=(\d{3})+$)/g, "\u202f")} km`;
}
