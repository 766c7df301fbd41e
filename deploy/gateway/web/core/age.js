// Ages and amounts as people read them. Pure.

/** "just now", "4 s ago", "3 min ago", "2 h ago", "5 days ago". */
export function ageText(ageS) {
  if (ageS < 1.5) return "just now";
  if (ageS < 60) return `${Math.floor(ageS)} s ago`;
  if (ageS < 3600) return `${Math.floor(ageS / 60)} min ago`;
  if (ageS < 86_400) return `${Math.floor(ageS / 3600)} h ago`;
  const days = Math.floor(ageS / 86_400);
  return days === 1 ? "1 day ago" : `${days} days ago`;
}

/** A time to wait, rounded up: "now", "4 s", "2 min". */
export function waitText(waitMs) {
  const seconds = Math.ceil(waitMs / 1000);
  if (seconds <= 0) return "now";
  return seconds < 60 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}

/** A span that may be long: "40 s", "35 min", "6 h", "9 days". */
export function spanText(spanS) {
  if (spanS < 60) return `${Math.floor(spanS)} s`;
  if (spanS < 7200) return `${Math.floor(spanS / 60)} min`;
  const hours = Math.floor(spanS / 3600);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

/** The time of day as the reader's clock shows it: "14:05". */
export function clockText(atMs) {
  return new Date(atMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** "14:05" of today; of another day with its date. */
export function momentText(atMs, nowMs) {
  const at = new Date(atMs);
  if (at.toDateString() === new Date(nowMs).toDateString()) return clockText(atMs);
  return at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

/** "32 km/h"; null where the speed is unknown. */
export function speedText(speed) {
  return speed === null ? null : `${Math.round(speed)} km/h`;
}

/** "±8 m", "±1.2 km"; null where the accuracy is unknown. */
export function accuracyText(accuracy) {
  if (accuracy === null) return null;
  return accuracy < 1000 ? `±${Math.round(accuracy)} m` : `±${(accuracy / 1000).toFixed(1)} km`;
}

/** A count with thin spaces: "12 408". */
export function countText(count) {
  return count === null || count === undefined
    ? "–"
    : String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
