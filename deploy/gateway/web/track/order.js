// The order as its customer sees it: how far it is, when it is promised, its two ends. Pure.

import { readArrival } from "./arrival.js";

const WAY = ["new", "assigned", "at_pickup", "picked_up", "arriving", "delivered"];
const STAGES = {
  new: "Order received",
  assigned: "A driver is on the way to the pick-up",
  at_pickup: "The driver is at the pick-up",
  picked_up: "Picked up, on its way to you",
  arriving: "Your driver is arriving",
};
export const STEPS = WAY.length - 1;

const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

function readPlace(data) {
  const latitude = number(data?.latitude);
  const longitude = number(data?.longitude);
  return latitude === null || longitude === null ? null : { latitude, longitude };
}

function readTime(text) {
  const atMs = Date.parse(text ?? "");
  return Number.isNaN(atMs) ? null : atMs;
}

/** An answer to GET …/orders/{order_id}; null if it is none, or in a state that is not known. */
export function readOrder(data) {
  const state = data?.state;
  if (!WAY.includes(state) && state !== "cancelled") return null;
  return {
    state,
    pickup: readPlace(data.pickup),
    dropoff: readPlace(data.dropoff),
    promisedMs: readTime(data.promised_at),
    arrival: readArrival(data.arrival),
    overMs: readTime(data.times?.[state === "cancelled" ? "cancelled" : "delivered"]),
  };
}

/** Steps done, of STEPS: for the bar. */
export function stepOf(order) {
  return Math.max(0, WAY.indexOf(order.state));
}

/** What the card says of an order that is under way; "" where nothing is known of it. */
export function stageText(order, clock) {
  if (order === null || !(order.state in STAGES)) return "";
  const due = order.promisedMs === null ? "" : ` · promised by ${clock(order.promisedMs)}`;
  return `${STAGES[order.state]}${due}`;
}

/** How it ended: [title, detail], or null where that is not known. */
export function endText(order, clock) {
  if (order?.state === "cancelled") return ["Order cancelled", "This order was cancelled."];
  if (order?.state !== "delivered") return null;
  const at = order.overMs === null ? "" : ` at ${clock(order.overMs)}`;
  return ["Delivered", `Your order was delivered${at}.`];
}
