// The words of each state. Pure: state in, texts out.

import { accuracyText, ageText, momentText, speedText, waitText } from "../core/age.js";
import { direction } from "../core/geo.js";
import { believed } from "./arrival.js";
import { STEPS, endText, stageText, stepOf } from "./order.js";
import { modeOf } from "./state.js";

const TITLES = {
  connecting: "Connecting…",
  waiting: "Waiting for the first position",
  live: "Live",
  old: "Position is old",
  reconnecting: "Reconnecting…",
  busy: "Very busy right now",
  ended: "Tracking has ended",
  expired: "This link has expired",
  revoked: "This link no longer works",
  incomplete: "This link is not complete",
  denied: "No access to this order",
  invalid: "This link does not work",
};

const DETAILS = {
  connecting: "One moment.",
  waiting: "Your driver appears here as soon as the first position arrives.",
  ended: "The order is complete. Its driver is no longer shown.",
  expired: "Its time is over. Please ask for a new link.",
  revoked: "It was withdrawn, or is not complete. Please ask for a new link.",
  incomplete: "A part of it is missing. Please copy the whole link, or ask for a new one.",
  denied: "This link was not made for this order. Please ask for a new link.",
  invalid: "The order in this address is not one of ours. Please check that the link is complete.",
};

// Why positions are asked for; the customer need do nothing about it.
const CAUSES = {
  full: "All places for live updates are taken. Until one is free, the position comes every few"
    + " seconds.",
  away: "Live updates are interrupted. Until they are back, the position comes every few seconds.",
  blocked: "Live updates do not get through on this network. Instead, the position comes every"
    + " few seconds.",
};

/** Everything the card shows: {mode, title, detail, arrival, stage, way, note, facts, over, …}. */
export function viewOf(state, nowMs, { staleAgeS }) {
  const mode = modeOf(state, nowMs, staleAgeS);
  const { order = null, arrival = null } = state;
  const moment = (atMs) => momentText(atMs, nowMs);
  const end = mode === "ended" ? endText(order, moment) : null;
  const stage = state.final === null ? stageText(order, moment) : "";
  return {
    mode,
    title: end?.[0] ?? TITLES[mode],
    detail: end?.[1] ?? DETAILS[mode] ?? detailOf(mode, state, nowMs),
    // From now: {lowMs, highMs}; null where it is not known.
    arrival: believed(arrival, { mode, order, fix: state.fix }, nowMs),
    stage,
    // Steps done and steps in all; null where there is nothing to show.
    way: stage === "" ? null : [stepOf(order), STEPS],
    note: noteOf(state),
    facts: mode === "live" ? factsOf(state.fix) : [],
    over: state.final !== null,
    canRetry: mode === "reconnecting" || mode === "busy",
  };
}

function detailOf(mode, { fix, retryAtMs, link }, nowMs) {
  const age = fix === null ? null : ageText(Math.max(0, (nowMs - fix.atMs) / 1000));
  if (mode === "live") return `Updated ${age}`;
  if (mode === "old") return `Last position ${age}. The driver may be without signal.`;
  const what = mode === "busy"
    ? "The service has more to do than it can."
    : "The connection was lost.";
  const next = link === "retry" && retryAtMs > nowMs
    ? `Trying again in ${waitText(retryAtMs - nowMs)}.`
    : "Trying again now.";
  return age === null ? `${what} ${next}` : `${what} ${next} Last position ${age}.`;
}

function noteOf({ link, final, cause }) {
  return link === "polling" && final === null ? CAUSES[cause] : "";
}

// Only of a live position: an old speed says nothing about now.
function factsOf({ speed, heading, accuracy }) {
  return [
    ["Speed", speedText(speed)],
    ["Heading", heading === null ? null : capital(direction(heading))],
    ["Accuracy", accuracyText(accuracy)],
  ].filter(([, value]) => value !== null);
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);
