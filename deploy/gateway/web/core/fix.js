// A position as the API gives it, checked: what is not a number where one is due is null. Pure.

const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
const text = (value) => (typeof value === "string" ? value : null);

/** The fix, or null if it has no place or time. `atMs` is its effective time: a fix dated in the
 *  future counts as of its arrival, as on the server. */
export function readFix(data) {
  if (data === null || typeof data !== "object") return null;
  const latitude = number(data.latitude);
  const longitude = number(data.longitude);
  const recordedMs = Date.parse(data.recorded_at);
  const receivedMs = Date.parse(data.received_at);
  const atMs = Number.isNaN(receivedMs) ? recordedMs : Math.min(recordedMs, receivedMs);
  if (latitude === null || longitude === null || Number.isNaN(atMs)) return null;
  return {
    driverId: text(data.driver_id) ?? "",
    orderId: text(data.order_id),
    latitude,
    longitude,
    speed: number(data.speed),
    heading: number(data.heading),
    accuracy: number(data.accuracy),
    atMs,
  };
}

/** Whether `fix` may follow `known`: nothing older is shown after something newer. */
export function isNewer(fix, known) {
  return known === null || fix.atMs > known.atMs;
}
