// What a webhook and its deliveries say to a person. Pure.

import { ageText, countText, waitText } from "../core/age.js";

const SWITCHED_OFF = {
  gone: "Switched off: its server answered 410 Gone",
  failing: "Switched off: three days without one success",
};
// Words of the API for what went wrong, as docs/webhooks.md has them.
const WHY = {
  redirect: "redirected, and nobody is followed",
  gone: "410 Gone",
  timeout: "no answer in time",
  connection: "no connection",
  name: "the name has no address",
  address: "the address is not public",
  certificate: "the certificate is not trusted",
  garbled: "the answer is no HTTP",
  expired: "its day was over",
  backlog: "too many waited behind it",
  key: "the key of its secret is not here",
  no_event: "the event was removed",
  unreadable: "the event is of a newer release",
};

/** {tone, text}: whether events go out, and since when they do not. */
export function stateOf(hook, nowMs) {
  if (!hook.active) {
    const text = SWITCHED_OFF[hook.disabled_reason];
    return text === undefined ? { tone: "", text: "Paused" } : { tone: "bad", text };
  }
  if (hook.failing_since === null) return { tone: "good", text: "On" };
  return { tone: "warn", text: `Failing, first ${agoText(hook.failing_since, nowMs)}` };
}

/** Names and texts of a card. */
export function factsOf(hook) {
  return [
    ["To", hook.url],
    ["Events", hook.events.join(", ")],
    ["Only", filterText(hook.filter)],
    ["Waiting", countText(hook.waiting)],
    ["Given up", countText(hook.dead)],
  ];
}

function filterText(filter) {
  const rows = Object.entries(filter ?? {});
  return rows.map(([name, value]) => `${name.replace("_id", "")} ${value}`).join(", ") || "–";
}

/** The webhook as a PUT takes it, switched on or off. */
export function bodyOf({ url, events, filter }, active) {
  return { url, events, filter, active };
}

/** {tone, title, text} of a delivery. */
export function deliveryOf(delivery, nowMs) {
  const who = delivery.driver_id === null ? "" : ` · ${delivery.driver_id}`;
  const when = agoText(delivery.attempted_at ?? delivery.created_at, nowMs);
  return { ...outcomeOf(delivery, nowMs), title: `${delivery.type}${who}`, when };
}

function outcomeOf(delivery, nowMs) {
  if (delivery.state === "delivered") {
    const tries = delivery.attempts > 1 ? `, try ${delivery.attempts}` : "";
    return { tone: "good", text: `Delivered in ${delivery.took_ms} ms${tries}` };
  }
  if (delivery.state === "dead") return { tone: "bad", text: `Given up: ${whyOf(delivery)}` };
  if (delivery.error === null) return { tone: "", text: "Waits to be sent" };
  const waitMs = Date.parse(delivery.next_attempt_at) - nowMs;
  const next = Number.isFinite(waitMs) ? `; again in ${waitText(waitMs)}` : "";
  const tries = `Try ${delivery.attempts} failed`;
  return { tone: "warn", text: `${tries}: ${whyOf(delivery)}${next.replace("in now", "now")}` };
}

/** Why a delivery failed. */
export function whyOf({ error, status }) {
  if (error === "status") return `answered ${status}`;
  return WHY[error] ?? error ?? "it was not sent";
}

function agoText(time, nowMs) {
  return ageText(Math.max(0, nowMs - Date.parse(time)) / 1000);
}
